use std::fmt;

use crate::settings::CacheLimiter;

pub use crate::bindings::lemon::session::types::Location;
pub use lemon_session_rules::{options::Cookie, types::Lifetime};

/// The parameters of [`start`](super::Sessions::start). `None` stands for the value in the settings.
#[derive(Clone, Default)]
pub struct Options {
    /// The application whose variables the session reads and writes: 1 to 255 characters.
    pub app: Option<String>,
    /// The values of the request's `Cookie` fields.
    pub cookies: Vec<Vec<u8>>,
    /// Whether the visitor's request came over HTTPS; it decides [`Secure::Auto`](crate::settings::Secure::Auto).
    pub https: bool,
    /// Use the session with this id instead of cookies: none is read and none is sent. An unknown or malformed id, such
    /// as an empty one for a new visitor, starts a new session.
    pub session_id: Option<String>,
    /// The store and table of the session.
    pub location: Location,
    /// The idle time in seconds: the session lasts at least this long after this use. It applies to this start alone; the
    /// idle time that [`set_lifetime`](super::Session::set_lifetime) stored takes precedence.
    pub expires: Option<u32>,
    /// The cookie.
    pub cookie: Option<Cookie>,
    /// Text mixed into new ids. It cannot weaken them.
    pub seed: Option<String>,
    /// The probability, from 0 to 1, that this start triggers a cleanup of expired sessions.
    pub cleanup: Option<f64>,
    /// Make [`save`](super::Session::save) fail with [`Conflict`](super::Error::Conflict) when another request saved
    /// this session first.
    pub strict: Option<bool>,
    /// The `Cache-Control` of the response.
    pub cache_limiter: Option<CacheLimiter>,
}

impl fmt::Debug for Options {
    /// Leaves out ids, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("app", &self.app)
            .field("https", &self.https)
            .field("location", &self.location)
            .field("expires", &self.expires)
            .field("cookie", &self.cookie)
            .field("cleanup", &self.cleanup)
            .field("strict", &self.strict)
            .field("cache_limiter", &self.cache_limiter)
            .finish_non_exhaustive()
    }
}

impl Default for Location {
    /// The default table of the default store.
    fn default() -> Self {
        Self { storage: None, table: None }
    }
}
