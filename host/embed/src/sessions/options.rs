use std::fmt;

use crate::settings::CacheLimiter;

pub use crate::bindings::lemon::session::types::Location;
pub use lemon_session_rules::options::Cookie;

/// The parameters of [`start`](super::Sessions::start). What is `None` comes from the settings.
#[derive(Clone, Default)]
pub struct Options {
    /// The application whose variables these are, 1 to 255 characters.
    pub app: Option<String>,
    /// The values of the request's `Cookie` fields.
    pub cookies: Vec<Vec<u8>>,
    /// Whether the visitor's request came over HTTPS: what [`Secure::Auto`](crate::settings::Secure::Auto) goes by.
    pub https: bool,
    /// Use the session of this id. Cookies then play no part: none is read and none is sent. An id that is unknown or
    /// malformed, such as an empty one for a visitor who has none yet, begins a new session.
    pub session_id: Option<String>,
    /// Where the session is kept.
    pub location: Location,
    /// The session's idle time in seconds: it lasts at least as long after its last use.
    pub expires: Option<u32>,
    /// The cookie.
    pub cookie: Option<Cookie>,
    /// Text mixed into new ids. It can never weaken them.
    pub seed: Option<String>,
    /// The probability that this start has expired sessions cleaned up.
    pub cleanup: Option<f64>,
    /// Have [`save`](super::Session::save) fail with [`Conflict`](super::Error::Conflict) when somebody else saved this
    /// session in the meantime.
    pub strict: Option<bool>,
    /// What caches may do with the response.
    pub cache_limiter: Option<CacheLimiter>,
}

impl fmt::Debug for Options {
    /// Without ids, which are secrets.
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
