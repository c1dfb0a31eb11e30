use crate::{
    CacheLimiter, Cookie, Request, Result, Session,
    bindings::lemon::session::sessions::{self, Options as Parameters},
};

/// The parameters of a session's start. What is not given comes from the host's settings.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until `start`"]
pub struct Options(Parameters);

impl Options {
    /// No parameter given.
    pub fn new() -> Self {
        Self::default()
    }

    /// The application whose variables these are, 1 to 255 characters.
    pub fn app(mut self, name: impl Into<String>) -> Self {
        self.0.app = Some(name.into());
        self
    }

    /// Use the session of this id. Cookies then play no part: none is read and none is sent. An id that is unknown or
    /// malformed, such as an empty one for a visitor who has none yet, begins a new session.
    pub fn session_id(mut self, id: impl Into<String>) -> Self {
        self.0.session_id = Some(id.into());
        self
    }

    /// The store, as the host's configuration names it.
    pub fn storage(mut self, name: impl Into<String>) -> Self {
        self.0.location.storage = Some(name.into());
        self
    }

    /// The table the sessions are kept in.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.0.location.table = Some(name.into());
        self
    }

    /// The session's idle time in seconds: it lasts at least as long after its last use.
    pub fn expires(mut self, seconds: u32) -> Self {
        self.0.expires = Some(seconds);
        self
    }

    /// The cookie.
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.0.cookie = Some(cookie);
        self
    }

    /// Text mixed into new ids. It can never weaken them.
    pub fn seed(mut self, seed: impl Into<String>) -> Self {
        self.0.seed = Some(seed.into());
        self
    }

    /// The probability that this start has expired sessions cleaned up: 1 always, 0 never, 0.01 one time in a hundred.
    pub fn cleanup(mut self, probability: f64) -> Self {
        self.0.cleanup = Some(probability);
        self
    }

    /// Have [`Session::save`] answer [`Conflict`](crate::Error::Conflict) when somebody else saved this session in the
    /// meantime.
    pub fn strict(mut self, strict: bool) -> Self {
        self.0.strict = Some(strict);
        self
    }

    /// What caches may do with the response.
    pub fn cache_limiter(mut self, limiter: CacheLimiter) -> Self {
        self.0.cache_limiter = Some(limiter);
        self
    }

    /// Begins a session, unless the request brings one that exists.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::Error::InvalidName), [`InvalidOption`](crate::Error::InvalidOption) or
    /// [`Reserved`](crate::Error::Reserved) for bad parameters, [`TooLarge`](crate::Error::TooLarge) when the `Cookie` fields
    /// are longer than the settings allow, and [`Storage`](crate::Error::Storage) when the store cannot tell whether the
    /// session exists.
    pub fn start(mut self, request: &impl Request) -> Result<Session> {
        (self.0.cookies, self.0.https) = request.cookies_and_https();
        Ok(Session(sessions::start(&self.0)?))
    }
}
