"""Why a call failed, with one class for each reaction a caller can have."""


class Error(Exception):
    """Why a call failed."""

    status = 500
    """The HTTP status code for the response to a request that failed with this error: 500 for a mistake of the program or of
    the settings."""


class InvalidName(Error, ValueError):
    """The name of a variable, an application, an owner or a table breaks a rule."""


class InvalidValue(Error, ValueError):
    """The value cannot be stored because it is not plain data, or the variable to add to is not an integer."""


class InvalidOption(Error, ValueError):
    """A parameter of start is invalid, alone or in combination with another one."""


class Reserved(Error):
    """The application's name is reserved, and the caller does not hold the reservation."""


class TooLarge(Error):
    """A limit of a variable, of the session or of the Cookie header was exceeded."""
    status = 413


class Unreadable(Error):
    """The stored bytes are in a format that this version does not know. They are not changed."""


class Conflict(Error):
    """With strict: another request saved this session first. Start it again and repeat the changes."""
    status = 409


class Gone(Error):
    """The session has ended: it was destroyed, has expired, or its id was rotated by a login. Nothing was saved."""
    status = 409


class Storage(Error):
    """The store could not be reached or failed: the call may or may not have taken effect. A session that cannot be
    read is never replaced by a new one."""
    status = 503


class CrossSite(Error):
    """Another site made the visitor's browser send the request: see check_same_origin."""
    status = 403


class Denied(Error):
    """The grant of these sessions does not include this function of the manager; or the session is bound to another device."""

    status = 403


class TooMany(Error):
    """The visitor's address has created more sessions than the host allows in a minute, or the owner has as many as
    the setting max-sessions allows. Nothing was saved."""
    status = 429


class Failed(Error):
    """The session component trapped, or the session was closed. The session cannot be used any more, and its unsaved
    changes are discarded. The next request gets a new instance."""
    status = 500


class InvalidSettings(ValueError):
    """Settings that are impossible; `problems` has what is wrong with each, and what would be right."""

    def __init__(self, problems: list[str]):
        super().__init__('\n'.join(problems))
        self.problems = problems


_CASES: dict[str, type[Error]] = {
    'invalid-name': InvalidName, 'invalid-value': InvalidValue, 'invalid-option': InvalidOption, 'reserved': Reserved,
    'too-large': TooLarge, 'unreadable': Unreadable, 'conflict': Conflict, 'gone': Gone, 'storage': Storage,
    'denied': Denied, 'too-many': TooMany,
}


def of_case(error: tuple[str, str | None]) -> Error:
    """The exception for a case of the component's error."""
    case, text = error
    kind = _CASES[case]
    return kind(text if text is not None else kind.__doc__)
