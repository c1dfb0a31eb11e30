//! The settings of all sessions of a host: their defaults, and what is possible.

mod checks;
mod keys;
pub mod parse;
#[cfg(test)]
mod tests;

use alloc::{borrow::ToOwned, string::String, vec::Vec};

pub(crate) use self::checks::{Checks, cleanup, expires};
pub use self::{
    checks::{InvalidSettings, MAX_SESSION_BYTES, MAX_SESSIONS, Problem},
    keys::Keys,
};
use crate::types::wit_enum;
pub use crate::types::{CacheLimiter, SameSite, Secure};

/// All settings. Times are in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The name of the application of a `start` that gives none.
    pub app: String,
    /// The idle time: how long a session lasts after its last use.
    pub expires: u32,
    /// The absolute expiry: how long a session lasts however often it is used. 0: no such limit.
    pub max_lifetime: u32,
    /// The longest idle time that an application can give a session. 0: as long as its absolute expiry allows.
    pub max_expires: u32,
    /// The absolute expiry of a session whose owner has logged in, counted from the login, in place of `max_lifetime`. 0: a login
    /// has none of its own.
    pub login_lifetime: u32,
    /// The most live sessions of one owner, counted at each login. 0: no such limit.
    pub max_sessions: u32,
    /// What a login does when its owner has `max_sessions` already.
    pub max_sessions_reached: MaxSessionsReached,
    /// Whether the idle time starts anew with each use. If not, it counts from the creation.
    pub rolling: bool,
    /// How much of the idle time may pass before a use is written to the store. `None`: a twentieth of `expires`.
    pub touch_after: Option<u32>,
    /// How old an id may become before `save` rotates it. 0: ids are not rotated.
    pub renew_after: u32,
    /// How long the old id of a rotation still leads to the session.
    pub renew_grace: u32,
    /// How long the tombstone of an ended session is kept. 0: none is kept.
    pub remember_ended: u32,
    /// Whether a session is stored, and its cookie sent, only once it has a variable or an owner.
    pub lazy: bool,
    /// The default of the parameter `strict`.
    pub strict: bool,
    /// Whether values are sealed: stored so that only the session's id opens them.
    pub seal: bool,
    /// How much of the client's address is kept when a session begins and when its owner logs in.
    pub client_address: ClientAddress,
    /// How many characters of the client's `User-Agent` are kept then; 0: none. At most 1024.
    pub client_user_agent: u32,
    /// How long the bound cookie is valid that a session needs beside its own once the browser has bound it to its device. 0: browsers
    /// are not asked to.
    pub device_bound: u32,
    /// The default of the parameter `cleanup`: the probability that a start triggers a cleanup.
    pub cleanup: f64,
    /// The default of the parameter `seed`.
    pub seed: String,
    /// The default of the parameter `cache-limiter`.
    pub cache_limiter: CacheLimiter,
    /// How long the cache limiters `private` and `public` let a response be stored.
    pub cache_expire: u32,
    /// The cookie.
    pub cookie: CookieSettings,
    /// The limits.
    pub limits: Limits,
    /// The names reserved in every session.
    pub reserved: Vec<Reservation>,
}

/// The defaults of the cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSettings {
    /// The cookie's name. `None`: the application's name.
    pub name: Option<String>,
    /// `Path`.
    pub path: String,
    /// `Domain`. Empty: this host alone.
    pub domain: String,
    /// `Secure`.
    pub secure: Secure,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `SameSite`.
    pub same_site: SameSite,
    /// `Partitioned`.
    pub partitioned: bool,
    /// `Max-Age` in seconds; 0 means until the browser closes. `None`: follows `expires`.
    pub lifetime: Option<u32>,
    /// `Comment`. Empty: none.
    pub comment: String,
}

/// How much a session may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Characters of a variable's name.
    pub key_length: u32,
    /// Characters of an application's name.
    pub app_length: u32,
    /// Variables of one application in one session.
    pub variables: u32,
    /// Bytes of one value, as stored.
    pub value_bytes: u32,
    /// Bytes of all names and values of one session.
    pub session_bytes: u32,
    /// Bytes of a request's `Cookie` fields together.
    pub header_bytes: u32,
}

/// An application name that is reserved in every session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The application's name.
    pub name: String,
    /// The SHA-256 hash, in hexadecimal, of the secret that `reserve` requires.
    pub secret_hash: String,
}

wit_enum! {
    /// What a login does when its owner has as many sessions as `max_sessions` allows.
    MaxSessionsReached {
        /// It ends the owner's session whose login is the oldest.
        EndOldest,
        /// It is refused.
        Refuse,
    }
}

wit_enum! {
    /// Which functions of `manager` an application may call.
    Grant {
        /// None.
        None,
        /// Those that concern the sessions of one owner: `list` and `destroy` with an owner, and `destroy-owned`.
        Owners,
        /// All.
        All,
    }
}

wit_enum! {
    /// How much of a client's address is kept with a session.
    ClientAddress {
        /// Nothing.
        None,
        /// Its network: the first 24 bits of an IPv4 address, the first 48 of an IPv6 address.
        Network,
        /// The whole address.
        Full,
    }
}

/// The client of a request, as the host sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its IP address, if the host knows it.
    pub address: Option<String>,
    /// The request's `User-Agent`, if the host knows one.
    pub user_agent: Option<String>,
}

/// On whose behalf the session component is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// A number that no other request of the host has; 0 if the host does not tell requests apart.
    pub request: u64,
    /// What the application may call of `manager`.
    pub manager: Grant,
}

/// Something that an application probably did not intend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The last handle of a session was dropped with unsaved changes to this application's variables.
    Unsaved(String),
    /// This application's variables were changed after the last save.
    ChangedAfterSave(String),
    /// A request started this application's session again while a handle of its first start was open, which shares no changes
    /// with the second.
    StartedTwice(String),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            app: "session".to_owned(),
            expires: 24 * 60,
            max_lifetime: 30 * 24 * 60 * 60,
            max_expires: 0,
            login_lifetime: 0,
            max_sessions: 0,
            max_sessions_reached: MaxSessionsReached::EndOldest,
            rolling: true,
            touch_after: None,
            renew_after: 0,
            renew_grace: 60,
            remember_ended: 24 * 60 * 60,
            lazy: false,
            strict: false,
            seal: false,
            client_address: ClientAddress::None,
            client_user_agent: 0,
            device_bound: 0,
            cleanup: 0.01,
            seed: String::new(),
            cache_limiter: CacheLimiter::Nocache,
            cache_expire: 180 * 60,
            cookie: CookieSettings::default(),
            limits: Limits::default(),
            reserved: Vec::new(),
        }
    }
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self {
            name: None,
            path: "/".to_owned(),
            domain: String::new(),
            secure: Secure::Auto,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
            lifetime: None,
            comment: String::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_length: 32,
            app_length: 255,
            variables: 1000,
            value_bytes: 1024 * 1024,
            session_bytes: 4 * 1024 * 1024,
            header_bytes: 16 * 1024,
        }
    }
}
