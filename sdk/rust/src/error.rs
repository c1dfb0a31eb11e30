use std::fmt;

use crate::bindings::lemon::session::types;

/// The result of an operation on a session.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed, with one case for each reaction a caller can have. The texts are for people, not for matching.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The name of a variable, an application, an owner or a table breaks a rule; the text names the rule.
    InvalidName(String),
    /// The value cannot be stored because JSON cannot express it, or the variable to add to is not an integer.
    InvalidValue(String),
    /// A parameter is invalid, alone or in combination with another one.
    InvalidOption(String),
    /// The application's name is reserved, and the caller does not hold the reservation.
    Reserved(String),
    /// A limit of a variable, of the session or of the `Cookie` header was exceeded, and the text names the limit and its
    /// setting; or a form is too long.
    TooLarge(String),
    /// The stored bytes are in a format that this version does not know. They are not changed.
    Unreadable(String),
    /// With `strict`: another request saved this session after it was started here. Start it again and repeat the
    /// changes.
    Conflict,
    /// The session has ended: it was destroyed, has expired, or its id was rotated by a login. Nothing was saved.
    Gone,
    /// The store could not be reached or failed: the call may or may not have taken effect. A session that cannot be
    /// read is never replaced by a new one.
    Storage(String),
    /// The session is bound to a device, and the request did not show that it comes from there: see `docs/device-bound.md`. Or the
    /// host's grant to this application does not include this function of the [`manager`](crate::manager).
    Denied(String),
    /// The visitor's address has created more sessions than the host allows in a minute, or the owner has as many as
    /// the setting `max-sessions` allows. Nothing was saved.
    TooMany(String),
    /// The variable is set, but its value is not of the requested type.
    WrongType(String),
    /// Another site made the visitor's browser send the request: see [`check_same_origin`](crate::check_same_origin).
    CrossSite(String),
    /// The body of the request is not a form, or not all of it was received: from `wasi_http::Request::form`.
    InvalidForm(String),
}

impl Error {
    /// The HTTP status code for the response to a request that failed with this error: 500 for a mistake of the program or
    /// of the host's settings, which a client can cause only if the program passes on what the client sent without a check.
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidForm(_) => 400,
            Self::Denied(_) | Self::CrossSite(_) => 403,
            Self::Conflict | Self::Gone => 409,
            Self::TooLarge(_) => 413,
            Self::TooMany(_) => 429,
            Self::InvalidName(_)
            | Self::InvalidValue(_)
            | Self::InvalidOption(_)
            | Self::Reserved(_)
            | Self::Unreadable(_)
            | Self::WrongType(_) => 500,
            Self::Storage(_) => 503,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why) = match self {
            Self::InvalidName(why) => ("invalid name", why),
            Self::InvalidValue(why) => ("invalid value", why),
            Self::InvalidOption(why) => ("invalid option", why),
            Self::Reserved(why) => ("reserved", why),
            Self::TooLarge(why) => ("too large", why),
            Self::Unreadable(why) => ("unreadable", why),
            Self::Storage(why) => ("storage", why),
            Self::Denied(why) => ("denied", why),
            Self::TooMany(why) => ("too many", why),
            Self::WrongType(why) => ("wrong type", why),
            Self::CrossSite(why) => ("cross-site", why),
            Self::InvalidForm(why) => ("invalid form", why),
            Self::Conflict => return formatter.write_str("conflict: another request saved this session first"),
            Self::Gone => return formatter.write_str("gone: the session has ended"),
        };
        write!(formatter, "{what}: {why}")
    }
}

impl std::error::Error for Error {}

/// For modules, whose interfaces return the error type of the WIT.
impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidName(why) => Self::InvalidName(why),
            Error::InvalidValue(why) | Error::InvalidForm(why) => Self::InvalidValue(why),
            Error::InvalidOption(why) => Self::InvalidOption(why),
            Error::Reserved(why) => Self::Reserved(why),
            Error::TooLarge(why) => Self::TooLarge(why),
            Error::Unreadable(why) | Error::WrongType(why) => Self::Unreadable(why),
            Error::Conflict => Self::Conflict,
            Error::Gone => Self::Gone,
            Error::Storage(why) => Self::Storage(why),
            Error::Denied(why) | Error::CrossSite(why) => Self::Denied(why),
            Error::TooMany(why) => Self::TooMany(why),
        }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::InvalidName(why) => Self::InvalidName(why),
            types::Error::InvalidValue(why) => Self::InvalidValue(why),
            types::Error::InvalidOption(why) => Self::InvalidOption(why),
            types::Error::Reserved(why) => Self::Reserved(why),
            types::Error::TooLarge(why) => Self::TooLarge(why),
            types::Error::Unreadable(why) => Self::Unreadable(why),
            types::Error::Conflict => Self::Conflict,
            types::Error::Gone => Self::Gone,
            types::Error::Storage(why) => Self::Storage(why),
            types::Error::Denied(why) => Self::Denied(why),
            types::Error::TooMany(why) => Self::TooMany(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_of_the_program_has_status_500_and_what_a_client_causes_its_own() {
        let text = String::new;
        for mistake in [
            Error::InvalidName(text()),
            Error::InvalidValue(text()),
            Error::InvalidOption(text()),
            Error::Reserved(text()),
            Error::Unreadable(text()),
            Error::WrongType(text()),
        ] {
            assert_eq!(mistake.status(), 500, "{mistake}");
        }
        let others = [
            (Error::InvalidForm(text()), 400),
            (Error::Denied(text()), 403),
            (Error::CrossSite(text()), 403),
            (Error::Conflict, 409),
            (Error::Gone, 409),
            (Error::TooLarge(text()), 413),
            (Error::TooMany(text()), 429),
            (Error::Storage(text()), 503),
        ];
        for (error, status) in others {
            assert_eq!(error.status(), status, "{error}");
        }
    }
}
