use crate::bindings::lemon::session::types;

/// The result of every fallible function of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed, with one case for each reaction a caller can have. The texts are for people, not for matching.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of a variable, an application, an owner or a table breaks a rule.
    #[error("invalid name: {0}")]
    InvalidName(String),
    /// The value cannot be stored.
    #[error("invalid value: {0}")]
    InvalidValue(String),
    /// A parameter of `start` is invalid, alone or in combination with another one.
    #[error("invalid option: {0}")]
    InvalidOption(String),
    /// The application's name is reserved, and the caller does not hold the reservation.
    #[error("reserved: {0}")]
    Reserved(String),
    /// A limit was exceeded.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The stored bytes are in a format that this version does not know.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// With `strict`: another request saved this session after it was started here.
    #[error("another request saved this session first")]
    Conflict,
    /// The session has ended.
    #[error("the session has ended")]
    Gone,
    /// The store could not be reached or failed: the call may or may not have taken effect. A session that cannot be read is
    /// never replaced by a new one.
    #[error("the session store failed: {0}")]
    Storage(String),
    /// The grant does not include this function of the manager.
    #[error("denied: {0}")]
    Denied(String),
    /// The client has created more sessions than the host allows in a minute, or the owner has as many as `max_sessions` allows.
    #[error("too many sessions: {0}")]
    TooMany(String),
    /// All instances of the session component are in use, and none became free within
    /// [`PoolOptions::wait`](super::PoolOptions::wait).
    #[error("too many sessions are in use at the same time")]
    Busy,
    /// The session component trapped, or the future of an earlier call on this session was dropped before it was ready.
    /// The session can no longer be used, and its unsaved changes are discarded.
    #[error("the session component failed: {0}")]
    Failed(String),
}

impl Error {
    pub(super) fn failed(error: wasmtime::Error) -> Self {
        tracing::error!("the session component failed: {error:?}");
        Self::Failed(format!("{error:#}"))
    }

    pub(super) fn given_up() -> Self {
        Self::Failed("an earlier call on this session was cancelled before it finished".to_owned())
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
