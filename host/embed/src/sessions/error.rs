use crate::bindings::lemon::session::types;

/// What everything fallible here returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, one case for each thing a caller can act on. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of a variable, an application, an owner or a table breaks a rule.
    #[error("invalid name: {0}")]
    InvalidName(String),
    /// The value cannot be stored.
    #[error("invalid value: {0}")]
    InvalidValue(String),
    /// A parameter of `start` is impossible, alone or beside another one.
    #[error("invalid option: {0}")]
    InvalidOption(String),
    /// The application's name is reserved, and the caller does not hold the reservation.
    #[error("reserved: {0}")]
    Reserved(String),
    /// A limit was met.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The stored bytes were written in a format that this version does not know.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// With `strict`: somebody else saved this session since it was started here.
    #[error("somebody else saved this session in the meantime")]
    Conflict,
    /// The session has ended.
    #[error("the session has ended")]
    Gone,
    /// The store could not be reached or answered with trouble. Nothing was saved, and no session was made up.
    #[error("the store is in trouble: {0}")]
    Storage(String),
    /// The grant does not include this function of the manager.
    #[error("denied: {0}")]
    Denied(String),
    /// The client's address has begun more new sessions than the host allows for now.
    #[error("too many new sessions: {0}")]
    TooMany(String),
    /// All instances of the session component are in use, and none became free in time.
    #[error("too many sessions are in use at the same time")]
    Busy,
    /// The session component itself failed, or a call on this session was given up half-way. The session cannot be used any
    /// more; what was not saved is discarded.
    #[error("the session component failed: {0}")]
    Failed(String),
}

impl Error {
    pub(super) fn failed(error: wasmtime::Error) -> Self {
        tracing::error!("the session component failed: {error:?}");
        Self::Failed(format!("{error:#}"))
    }

    pub(super) fn given_up() -> Self {
        Self::Failed("an earlier call on this session did not come to its end".to_owned())
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::InvalidName(text) => Self::InvalidName(text),
            types::Error::InvalidValue(text) => Self::InvalidValue(text),
            types::Error::InvalidOption(text) => Self::InvalidOption(text),
            types::Error::Reserved(text) => Self::Reserved(text),
            types::Error::TooLarge(text) => Self::TooLarge(text),
            types::Error::Unreadable(text) => Self::Unreadable(text),
            types::Error::Conflict => Self::Conflict,
            types::Error::Gone => Self::Gone,
            types::Error::Storage(text) => Self::Storage(text),
            types::Error::Denied(text) => Self::Denied(text),
            types::Error::TooMany(text) => Self::TooMany(text),
        }
    }
}
