//! The values, errors and choices of the WIT interface `types`.
//!
//! The component's generated bindings and the host use these types. wit-bindgen wants the types that it is given to look like
//! those that it would generate, so an enum has `_lift`.

use alloc::{string::String, vec::Vec};

/// Defines an enum of the WIT, whose cases are bytes from 0.
macro_rules! wit_enum {
    ($(#[$attribute:meta])* $name:ident { $($(#[$case_attribute:meta])* $case:ident,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$case_attribute])* $case,)*
        }

        impl $name {
            #[doc(hidden)]
            pub fn _lift(case: u8) -> Self {
                [$(Self::$case),*][usize::from(case)]
            }
        }
    };
}
pub(crate) use wit_enum;

/// The value of a variable. Each kind is read back as it was stored: an integer 1 never becomes a real 1.0.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A variable without a value, which differs from no variable.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer of 64 bits.
    Integer(i64),
    /// A floating-point number of 64 bits, including infinities and NaN.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// JSON text (RFC 8259) of at most 127 levels, kept to the letter.
    Json(String),
}

/// What went wrong: one case for each thing that a caller can act on. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The name of a variable, an application, an owner or a session breaks a rule.
    InvalidName(String),
    /// The value cannot be stored, or a variable that is not an integer cannot be added to.
    InvalidValue(String),
    /// A parameter of `start` is impossible, alone or beside another one.
    InvalidOption(String),
    /// The application's name is reserved, and the caller does not hold the reservation.
    Reserved(String),
    /// A limit was exceeded; the text names it.
    TooLarge(String),
    /// The stored bytes have a format that this version does not know.
    Unreadable(String),
    /// With `strict`: another request saved the session since it was started here.
    Conflict,
    /// The session has ended. Nothing was saved.
    Gone,
    /// The store could not complete the call.
    Storage(String),
    /// The host's grant to the application does not include this function of `manager`.
    Denied(String),
    /// The client's address has begun more new sessions than the host allows for now, or the owner has as many as `max_sessions`
    /// allows.
    TooMany(String),
}

/// How long a session lasts. What is `None` is as the settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// The idle time in seconds.
    pub expires: Option<u32>,
    /// The seconds from now after which the session ends however often it is used.
    pub max_lifetime: Option<u32>,
    /// The cookie's `Max-Age` in seconds; 0 means until the browser closes. `None`: follows `expires`, if that is given.
    pub cookie: Option<u32>,
}

/// What is known of a session, for its user. Times are in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// When it was created.
    pub created: u64,
    /// When it was last used, as precisely as the setting `touch-after` has uses written.
    pub accessed: u64,
    /// When it expires however often it is used.
    pub absolute_expiry: Option<u64>,
    /// When its owner last logged in.
    pub authenticated_at: Option<u64>,
    /// How its owner logged in.
    pub method: Option<String>,
    /// What its owner calls it.
    pub label: Option<String>,
    /// The client's address when it began or when its owner logged in last, if the settings keep it.
    pub address: Option<String>,
    /// The client's `User-Agent` then, if the settings keep it.
    pub user_agent: Option<String>,
}

/// A response header: its name in lower case, and its value.
pub type Header = (String, String);

/// One of the host's stores, and a table in it. `None` is the default of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The store's name in the configuration.
    pub storage: Option<String>,
    /// The table that contains the sessions.
    pub table: Option<String>,
}

wit_enum! {
    /// When the cookie has the attribute `Secure`.
    Secure {
        /// When the request came over HTTPS.
        Auto,
        /// Always.
        On,
        /// Never.
        Off,
    }
}

wit_enum! {
    /// The attribute `SameSite` of the cookie (RFC 6265bis, section 5.6.7).
    SameSite {
        /// The browser sends the cookie only with requests that the site itself caused.
        Strict,
        /// It also sends the cookie when the visitor follows a link to the site.
        Lax,
        /// It sends the cookie with every request. Requires `Secure`.
        None,
    }
}

wit_enum! {
    /// What caches may do with a page that uses a session. A response that sets a cookie is never stored.
    CacheLimiter {
        /// Not store it: `Cache-Control: no-store`.
        Nocache,
        /// The browser may store it for `cache-expire`: `Cache-Control: private, max-age=…`.
        Private,
        /// Every cache may store it for `cache-expire`: `Cache-Control: public, max-age=…`.
        Public,
        /// The application sends its own headers; `save` returns no `Cache-Control` and no `Vary`.
        None,
    }
}
