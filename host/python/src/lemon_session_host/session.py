"""One request's session, with the methods of the module `lemon_session` for applications."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, NamedTuple

from . import values
from ._instances import MANAGER, SESSIONS, Lease, Pool
from .errors import CrossSite, Error, InvalidOption, InvalidValue
from .requests import is_known

Header = tuple[str, str]
Location = tuple[str | None, str | None]


class Session(MutableMapping[str, Any]):
    """One application's view of a session: a dictionary of its variables.

    It starts when it is first used. All handles of one start share their changes, and save on any of them saves all of
    these. After the session has ended, every method raises Gone. After close, every method raises Failed.

    A variable is plain data: None, bool, a 64-bit int, float, str, bytes, or a list or dictionary of these without bytes.
    It is read back unchanged; anything else is refused with InvalidValue, never altered. session['cart'] returns a copy:
    after changing a list or dictionary, set the variable again.

    Several threads may use it; one call runs at a time.
    """

    def __init__(self, lease: Lease | Callable[[], Lease], open: Callable[[Lease], Any]):
        self._lease_or_make, self._open, self._handle_or_none = lease, open, None
        self._ended = self._is_used = False
        self.headers: list[Header] = []
        """All headers that save and destroy returned so far."""

    @property
    def is_used(self) -> bool:
        """Whether it was used, so that it has to be saved."""
        return self._is_used

    def start(self) -> 'Session':
        """Starts it, if it was not used yet."""
        self._is_used = True
        self._handle()
        return self

    def preload(self) -> None:
        """Starts it without using it, so that its first use does not wait for the store."""
        self._handle()

    def _lease(self) -> Lease:
        if not isinstance(self._lease_or_make, Lease):
            self._lease_or_make = self._lease_or_make()
        return self._lease_or_make

    def _handle(self) -> Any:
        if self._handle_or_none is None:
            self._handle_or_none = self._open(self._lease())
        return self._handle_or_none

    def _call(self, method: str, *arguments: Any) -> Any:
        self._is_used = True
        handle = self._handle()
        return self._lease().call(SESSIONS, f'[method]session.{method}', handle, *arguments)

    def _further(self, method: str, *arguments: Any) -> 'Session':
        self._is_used = True
        handle, lease = self._handle(), self._lease()
        further = Session(lease, lambda lease: lease.open(SESSIONS, f'[method]session.{method}', handle, *arguments))
        return further.start()

    def _plain(self, value: tuple[str, Any]) -> Any:
        if isinstance(value[1], (str, bytes)):
            self._lease().note(len(value[1]))
        return values.to_plain(value)

    def __getitem__(self, key: str) -> Any:
        value = self._call('get', values.variable(key))
        if value is None:
            raise KeyError(key)
        return self._plain(value)

    def __setitem__(self, key: str, value: Any) -> None:
        name, converted = values.variable(key), values.of_plain(key, value)
        if isinstance(content := converted[1], (str, bytes)):
            self._lease().carry(name, len(content if isinstance(content, bytes) else content.encode()))
        self._call('set', name, converted)

    def __delitem__(self, key: str) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self._call('has-key', values.variable(key)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._call('keys'))

    def __len__(self) -> int:
        return len(self._call('keys'))

    def __bool__(self) -> bool:
        # Without this, a session without variables would be false, and asking would start it.
        return True

    def __enter__(self) -> 'Session':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        """Saves the session and closes it. If the block raised an exception, discards the changes instead."""
        try:
            if kind is None and self._is_used and not self._ended:
                self.save()
        finally:
            self.close()

    # get(key, default=None), pop, setdefault, update, items and values come from MutableMapping.

    def set(self, key: str, value: Any) -> None:
        """Sets a variable: session[key] = value."""
        self[key] = value

    def add(self, key: str, delta: int = 1) -> int:
        """Adds to an integer and returns the sum. A variable that is not set counts as 0. No addition is lost to a
        concurrent request."""
        if values.of_plain(values.variable(key), delta)[0] != 'integer':
            raise InvalidValue(f'{key}: delta must be an int, not {type(delta).__name__}')
        return int(self._call('add', key, delta))

    def delete(self, key: str) -> bool:
        """Removes a variable and returns whether it was set."""
        return bool(self._call('delete', values.variable(key)))

    def has_key(self, key: str) -> bool:
        """Whether a variable is set: key in session."""
        return key in self

    def entries(self) -> list[tuple[str, Any]]:
        """All variables, sorted by name."""
        return [(key, self._plain(value)) for key, value in self._call('entries')]

    def take(self, key: str, default: Any = None) -> Any:
        """Reads a variable and removes it: for messages that are shown once."""
        value = self._call('take', values.variable(key))
        return default if value is None else self._plain(value)

    def clear(self) -> None:
        """Removes all of the application's variables, including those that concurrent requests set before this change
        is saved."""
        self._call('clear')

    def id(self) -> str:
        """The session's id; after regenerate_id, the new one. It is a secret: a client that sends it has the
        session."""
        return str(self._call('id'))

    def digest(self) -> str:
        """The SHA-256 digest of the id in hexadecimal, which identifies the session to the store and the manager. After
        regenerate_id, this is the digest of the old id until save. Not a secret."""
        return str(self._call('digest'))

    def app(self) -> str:
        """The application whose variables this handle reads and writes."""
        return str(self._call('app'))

    def created(self) -> bool:
        """Whether this start created the session."""
        return bool(self._call('created'))

    def application(self, name: str) -> 'Session':
        """The same session, with the variables of another application."""
        return self._further('application', values.text('a name', name))

    def reserve(self, name: str, secret: str | None = None) -> 'Session':
        """Reserves an application name and returns the only handle that can access its variables from now on. With
        `secret` it can be reserved again."""
        return self._further('reserve', values.text('a name', name),
                             None if secret is None else values.text('a secret', secret))

    def release(self, name: str) -> None:
        """Ends the reservation of a name. Only a handle that reserve returned for it can do this."""
        self._call('release', values.text('a name', name))

    def regenerate_id(self) -> None:
        """Rotates the session's id: it gets a new one when it is saved, and the old one stops working then. Call this
        at each login and each change of privileges."""
        self._call('regenerate-id')

    def set_owner(self, owner: str | None) -> None:
        """Sets the session's owner, usually the user who logged in, or with None removes it."""
        self._call('set-owner', None if owner is None else values.text('an owner', owner))

    def owner(self) -> str | None:
        """The session's owner, or None."""
        owner: str | None = self._call('owner')
        return owner

    def destroy_others(self) -> int:
        """Ends all other live sessions of this session's owner immediately and returns their number. Call it when a
        password changes."""
        return int(self._call('destroy-others'))

    def authenticate(self, owner: str, method: str) -> None:
        """Notes that the owner has logged in, now and by this method, such as 'password' or 'passkey', and rotates the
        session's id: it gets a new one when it is saved. Call this at each login, and each time that the owner has proved
        again who it is. With the setting max-sessions, the save ends the owner's session whose login is the oldest, or raises
        TooMany, if the owner has too many."""
        self._call('authenticate', values.text('an owner', owner), values.text('a method', method))

    def fresh_within(self, seconds: int) -> bool:
        """Whether the owner has logged in within the last `seconds`: for pages that ask for the password again."""
        return bool(self._call('fresh-within', _seconds('seconds', seconds)))

    def set_lifetime(self, *, expires: int | None = None, max_lifetime: int | None = None,
                     cookie: int | None = None) -> None:
        """Sets how long the session lasts, in seconds, shorter or longer than before, from its next save on. This is stored
        with the session and applies to all later requests; what is None is as the settings say.

        expires: the idle time.
        max_lifetime: after how many seconds from now the session ends however often it is used.
        cookie: the cookie's lifetime; 0 means until the browser closes. It follows `expires` if only that is given.
        """
        given = (('expires', expires), ('max_lifetime', max_lifetime), ('cookie', cookie))
        self._call('set-lifetime', tuple(None if value is None else _seconds(name, value) for name, value in given))

    def remember(self, seconds: int) -> None:
        """"Remember me": the session and its cookie last this many seconds after each use, also when the browser is
        closed."""
        self._call('remember', _seconds('seconds', seconds))

    def set_label(self, label: str | None) -> None:
        """Sets what the owner calls the session, such as the name of the device, or with None removes it."""
        self._call('set-label', None if label is None else values.text('a label', label))

    def metadata(self) -> 'Metadata':
        """What is known of the session, for its user."""
        return Metadata(*self._call('metadata'))

    def expires_at(self) -> int:
        """The time at which the session expires unless it is used again, in seconds since 1970-01-01T00:00:00Z. A new
        lifetime shows after save."""
        return int(self._call('expires-at'))

    def save(self) -> list[Header]:
        """Stores all changes in one transaction and returns the headers to send with the response.

        Call it in every request, even one that only reads: it extends the session and the cookie.
        """
        headers = self._call('save')
        self._lease().saved()
        return self._send(headers)

    def destroy(self) -> list[Header]:
        """Ends the session immediately and discards unsaved changes. Returns the headers that delete the cookie, as
        save does; none if the visitor cannot have one."""
        headers = self._call('destroy')
        self._ended = True
        return self._send(headers)

    def flash(self, message: Any) -> None:
        """Leaves a flash message: a value that waits for the next call of flashes, in this request or a later one.

        Requests that leave messages at the same time keep each other's. At most 100 messages of an application wait; a
        further one replaces the oldest. They count for the limits of variables and of the session, clear removes them, and
        no other method shows them.
        """
        converted = values.of_plain('flash', message)
        if isinstance(content := converted[1], (str, bytes)):
            self._lease().carry('flash', len(content if isinstance(content, bytes) else content.encode()))
        self._call('flash', converted)

    def flashes(self) -> list[Any]:
        """Takes all flash messages of the application, oldest first. They are gone once this is saved; two requests that
        take them at the same time both get them."""
        return [self._plain(message) for message in self._call('flashes')]

    def entries_of(self, digest: str) -> list[tuple[str, Any]]:
        """All variables of the application in another session of the same owner, sorted by name; empty if the owner has no
        such session. A login takes over with it what the user's session on another device has."""
        entries = self._call('entries-of', values.text('a digest', digest))
        return [(key, self._plain(value)) for key, value in entries]

    def csrf_token(self) -> str:
        """A token against forged requests, to be put into a form or a header for check_csrf. The text differs with each
        call. It is valid until the session ends or regenerate_id is saved; after that call, this returns a token of the new
        id."""
        return str(self._call('csrf-token'))

    def check_csrf(self, request: Any, token: str | None = None) -> None:
        """Raises CrossSite for a request that another site made the visitor's browser send, as check_same_origin does, and
        for a request with neither Sec-Fetch-Site nor Origin unless it brings a token of this session. Browsers that are
        older than these headers are covered too."""
        if is_known(request):
            return
        # It comes from the client, which can send anything.
        given = token if isinstance(token, str) and token.isascii() else ''
        if not self._call('check-csrf', given):
            raise CrossSite('the request has neither Sec-Fetch-Site nor Origin, and no valid token of this session')

    def modified(self) -> bool:
        """Whether there are changes that save would write: of a variable or message of any application, the owner or the
        id. That a use of the session extends it is no such change."""
        return self._handle_or_none is not None and bool(self._of_handle('modified'))

    def accessed(self) -> bool:
        """Whether a variable, message, token or owner was read or changed since the start, with any handle. If not, the
        response does not depend on the visitor's session."""
        return self._handle_or_none is not None and bool(self._of_handle('accessed'))

    def _of_handle(self, method: str) -> Any:
        """Asks without using the session."""
        return self._lease().call(SESSIONS, f'[method]session.{method}', self._handle_or_none)

    @property
    def has_ended(self) -> bool:
        """Whether destroy was called."""
        return self._ended

    def close(self) -> None:
        """Discards the changes that were not saved, and gives the instance of the component to the next request. Happens by
        itself once nothing refers to the session."""
        if isinstance(self._lease_or_make, Lease):
            self._lease_or_make.close()

    def _send(self, headers: list[Header]) -> list[Header]:
        self.headers += headers
        return headers


def _seconds(name: str, seconds: object) -> int:
    if type(seconds) is not int or not 0 <= seconds < 2**32:
        raise InvalidOption(f'{name} must be an int from 0 to 2**32-1, not {seconds!r}')
    return seconds


class Metadata(NamedTuple):
    """What is known of a session, for its user. Times are in seconds since 1970-01-01T00:00:00Z."""

    created: int
    accessed: int
    absolute_expiry: int | None
    authenticated_at: int | None
    method: str | None
    label: str | None
    address: str | None
    user_agent: str | None


class Entry:
    """What is known of one stored session. Times are in seconds since 1970-01-01T00:00:00Z, the size is in bytes.

    `authenticated_at` and what follows it are told by `get`, and by a list of one owner's sessions. `address` and
    `user_agent` are those of the client when the session began or its owner logged in, if the settings keep them."""

    __slots__ = ('digest', 'created', 'accessed', 'expires', 'owner', 'size', 'authenticated_at', 'method', 'label',
                 'address', 'user_agent')

    def __init__(self, digest: str, created: int, accessed: int, expires: int, owner: str | None, size: int,
                 authenticated_at: int | None, method: str | None, label: str | None, address: str | None,
                 user_agent: str | None):
        self.digest, self.created, self.accessed = digest, created, accessed
        self.expires, self.owner, self.size = expires, owner, size
        self.authenticated_at, self.method, self.label = authenticated_at, method, label
        self.address, self.user_agent = address, user_agent

    def __repr__(self) -> str:
        return f'Entry(digest={self.digest!r}, owner={self.owner!r}, size={self.size})'


class Manager:
    """Manages tables and the sessions of all visitors, as far as the setting `manager` grants it: every other call raises
    Denied."""

    def __init__(self, pool: Pool, location: Location):
        self._pool, self._location = pool, location

    def _call(self, function: str, *arguments: Any) -> Any:
        lease = self._pool.lease()
        try:
            return lease.call(MANAGER, function, self._location, *arguments)
        finally:
            lease.close()

    def create_tables(self) -> None:
        """Creates the tables or migrates those of an older version."""
        self._call('create-tables')

    def drop_tables(self) -> None:
        """Removes the tables with all their sessions."""
        self._call('drop-tables')

    def tables_exist(self) -> bool:
        """Whether the tables exist."""
        return bool(self._call('tables-exist'))

    def cleanup(self, limit: int = 10_000) -> int:
        """Removes at most `limit` expired sessions and returns their number."""
        if type(limit) is not int or not 0 <= limit < 2**32:
            raise Error('limit must be a whole number from 0 to 2**32-1')
        return int(self._call('cleanup', limit))

    def count(self) -> int:
        """The number of live sessions."""
        return int(self._call('count'))

    def list(self, owner: str | None = None) -> Iterator[Entry]:
        """Yields the live sessions, optionally only those of one owner."""
        owner = None if owner is None else values.text('an owner', owner)
        after = None
        while True:
            entries, after = self._call('list', owner, after, 1000)
            for entry in entries:
                yield Entry(*entry)
            if after is None:
                return

    def get(self, digest: str, owner: str | None = None) -> Entry | None:
        """The session with this digest if it is live, provided that it belongs to `owner` if one is given."""
        owner = None if owner is None else values.text('an owner', owner)
        entry = self._call('get', values.text('a digest', digest), owner)
        return None if entry is None else Entry(*entry)

    def destroy(self, digest: str, owner: str | None = None) -> bool:
        """Ends the session with this digest, provided that it belongs to `owner` if one is given. Returns whether a
        live session was ended."""
        owner = None if owner is None else values.text('an owner', owner)
        return bool(self._call('destroy', values.text('a digest', digest), owner))

    def destroy_owned(self, owner: str, except_digest: str | None = None) -> int:
        """Ends all sessions of an owner except the one with the digest `except_digest`, if given, and returns their
        number."""
        kept = None if except_digest is None else values.text('a digest', except_digest)
        return int(self._call('destroy-owned', values.text('an owner', owner), kept))
