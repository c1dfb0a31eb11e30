use crate::{
    CacheLimiter, Cookie, Request, Result, Session,
    bindings::lemon::session::sessions::{self, Options as Parameters},
};

/// The parameters of a session's start. Those that are not set default to the host's settings.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until `start`"]
pub struct Options(Parameters);

impl Options {
    /// Options without any parameter set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The application whose variables the session reads and writes: 1 to 255 characters.
    pub fn app(mut self, name: impl Into<String>) -> Self {
        self.0.app = Some(name.into());
        self
    }

    /// Use the session with this id instead of cookies: none is read and none is sent. An unknown or malformed id, such
    /// as an empty one for a new visitor, starts a new session.
    pub fn session_id(mut self, id: impl Into<String>) -> Self {
        self.0.session_id = Some(id.into());
        self
    }

    /// The name of the store in the host's configuration.
    pub fn storage(mut self, name: impl Into<String>) -> Self {
        self.0.location.storage = Some(name.into());
        self
    }

    /// The table that holds the sessions.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.0.location.table = Some(name.into());
        self
    }

    /// The idle time in seconds: the session lasts at least this long after its last use.
    pub fn expires(mut self, seconds: u32) -> Self {
        self.0.expires = Some(seconds);
        self
    }

    /// The cookie.
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.0.cookie = Some(cookie);
        self
    }

    /// Text mixed into new ids. It cannot weaken them.
    pub fn seed(mut self, seed: impl Into<String>) -> Self {
        self.0.seed = Some(seed.into());
        self
    }

    /// The probability that this start triggers a cleanup of expired sessions: 1 is always, 0 never, 0.01 one time in a
    /// hundred.
    pub fn cleanup(mut self, probability: f64) -> Self {
        self.0.cleanup = Some(probability);
        self
    }

    /// Make [`Session::save`] fail with [`Conflict`](crate::Error::Conflict) when another request saved this session
    /// first.
    pub fn strict(mut self, strict: bool) -> Self {
        self.0.strict = Some(strict);
        self
    }

    /// The `Cache-Control` of the response.
    pub fn cache_limiter(mut self, limiter: CacheLimiter) -> Self {
        self.0.cache_limiter = Some(limiter);
        self
    }

    /// Starts the session that the request's cookie names, or a new one.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::Error::InvalidName), [`InvalidOption`](crate::Error::InvalidOption) or
    /// [`Reserved`](crate::Error::Reserved) for bad parameters, [`TooLarge`](crate::Error::TooLarge) when the `Cookie`
    /// fields are longer than the settings allow, and [`Storage`](crate::Error::Storage) when the store cannot tell
    /// whether the session exists.
    pub fn start(self, request: &impl Request) -> Result<Session> {
        Ok(Session(sessions::start(&self.for_request(request))?))
    }

    /// The parameters, with what a session depends on of the request.
    pub(crate) fn for_request(self, request: &impl Request) -> Parameters {
        let (cookies, https) = request.cookies_and_https();
        Parameters { cookies, https, ..self.0 }
    }
}
