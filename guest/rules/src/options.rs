//! The parameters of `start`.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::types::{CacheLimiter, Location, SameSite, Secure};

/// The parameters of `start`. What is `None` comes from the settings.
#[derive(Clone, Default, PartialEq)]
pub struct Options {
    /// The application whose variables the session handle reads and writes, 1 to 255 characters.
    pub app: Option<String>,
    /// The values of the request's `Cookie` fields.
    pub cookies: Vec<Vec<u8>>,
    /// Whether the visitor's request came over HTTPS, which [`Secure::Auto`] depends on.
    pub https: bool,
    /// The id of the session to use. Cookies are then neither read nor sent. An unknown or malformed id, such as an empty one
    /// for a visitor who has none yet, begins a new session.
    pub session_id: Option<String>,
    /// Where the session is stored.
    pub location: Location,
    /// The session's idle time in seconds: it lasts at least that long after its last use.
    pub expires: Option<u32>,
    /// The cookie.
    pub cookie: Option<Cookie>,
    /// Text mixed into new ids. It can never weaken them.
    pub seed: Option<String>,
    /// The probability that this start triggers a cleanup of expired sessions: 1 always, 0 never.
    pub cleanup: Option<f64>,
    /// Whether `save` fails with `conflict` when another request has saved the session since this start.
    pub strict: Option<bool>,
    /// What caches may do with the response.
    pub cache_limiter: Option<CacheLimiter>,
}

impl fmt::Debug for Options {
    /// Leaves out ids and the seed, which are secrets.
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

/// The cookie of one session. What is `None` comes from the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookie {
    /// The cookie's name; the application's name if the settings have none either.
    pub name: Option<String>,
    /// `Path`: the part of the site that receives the cookie.
    pub path: Option<String>,
    /// `Domain`: the domain that receives the cookie, with its subdomains. Empty: this host alone.
    pub domain: Option<String>,
    /// `Secure`: only over HTTPS.
    pub secure: Option<Secure>,
    /// `HttpOnly`: out of reach of the page's scripts.
    pub http_only: Option<bool>,
    /// `SameSite`.
    pub same_site: Option<SameSite>,
    /// `Partitioned`: a separate cookie for each top-level site. Requires `Secure`.
    pub partitioned: Option<bool>,
    /// `Max-Age` in seconds; 0 means until the browser closes. Follows `expires` if the settings have none either.
    pub lifetime: Option<u32>,
    /// `Comment` (RFC 2109), which today's browsers ignore.
    pub comment: Option<String>,
}
