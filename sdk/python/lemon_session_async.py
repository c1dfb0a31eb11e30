"""Asynchronous sessions for WebAssembly applications in Python, as components of WASI 0.3: while one request waits for
the store, the instance can answer others.

It is the API of lemon_session with `await` added. Parameters, values, errors and check_same_origin are those of that
module, which has the documentation:

    session = await start(request, app='visits')
    await session.set('visits', await session.get('visits', 0) + 1)
    headers = await session.save()          # before the response is returned

or, with a block that saves at its end unless it raises an exception:

    async with await start(request, app='visits') as session:
        await session.add('visits')
    headers = session.headers

A session is not a dictionary here, as `session['visits'] = 1` cannot be awaited: get, set and delete take its place.
"""

from componentize_py_types import Err
from lemon_session import (
    Conflict, CrossSite, Denied, Error, Gone, InvalidName, InvalidOption, InvalidValue, Reserved, Storage, TooLarge,
    TooMany, Unreadable, _WITHOUT_TOKEN, _append, _check_delta, _is_known, _lifetime, _location, _option, _options, _plain, _raised,
    _seconds, _text, _token, _value, _variable, check_same_origin
)
from wit_world.imports import manager_async as _manager, sessions_async as _sessions

__all__ = ['Conflict', 'CrossSite', 'Denied', 'Error', 'Gone', 'InvalidName', 'InvalidOption', 'InvalidValue', 'Manager',
           'Reserved', 'Session', 'Storage', 'TooLarge', 'TooMany', 'Unreadable', 'check_same_origin', 'start']


async def _call(function, *arguments):
    try:
        return await function(*arguments)
    except Err as error:
        raise _raised(error.value) from None


async def start(request=None, **parameters):
    """Starts the session that the request's cookie names, or a new one. The parameters are those of
    lemon_session.start; `request` is one of wasi:http 0.3."""
    return Session(await _call(_sessions.start, _options(request, **parameters)))


class Session:
    """One application's view of a session. The documentation of each method of lemon_session.Session applies here."""

    def __init__(self, session):
        self._session = session
        self._ended = False
        self.headers = []
        """All headers that save and destroy returned so far."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        """Saves the session. If the block raised an exception, discards the changes instead."""
        if kind is None and not self._ended:
            await self.save()

    async def get(self, key, default=None):
        """The value of a variable, or the default if it is not set."""
        value = await _call(self._session.get, _variable(key))
        return default if value is None else _plain(value)

    async def set(self, key, value):
        """Sets a variable."""
        await _call(self._session.set, _variable(key), _value(key, value))

    async def add(self, key, delta=1):
        """Adds to an integer and returns the sum."""
        _check_delta(_variable(key), delta)
        return await _call(self._session.add, key, delta)

    async def delete(self, key):
        """Removes a variable and returns whether it was set."""
        return await _call(self._session.delete, _variable(key))

    async def has_key(self, key):
        """Whether a variable is set."""
        return await _call(self._session.has_key, _variable(key))

    async def keys(self):
        """The names of all variables, sorted."""
        return await _call(self._session.keys)

    async def entries(self):
        """All variables, sorted by name."""
        return [(key, _plain(value)) for key, value in await _call(self._session.entries)]

    async def take(self, key, default=None):
        """Reads a variable and removes it."""
        value = await _call(self._session.take, _variable(key))
        return default if value is None else _plain(value)

    async def clear(self):
        """Removes all of the application's variables."""
        await _call(self._session.clear)

    def id(self):
        """The session's id, a secret."""
        return self._session.id()

    def digest(self):
        """The digest of the id, not a secret."""
        return self._session.digest()

    def app(self):
        """The application whose variables this handle reads and writes."""
        return self._session.app()

    def created(self):
        """Whether this start created the session."""
        return self._session.created()

    async def application(self, name):
        """The same session, with the variables of another application."""
        return Session(await _call(self._session.application, _text('a name', name)))

    async def reserve(self, name, secret=None):
        """Reserves an application name."""
        secret = None if secret is None else _text('a secret', secret)
        return Session(await _call(self._session.reserve, _text('a name', name), secret))

    async def release(self, name):
        """Ends the reservation of a name."""
        await _call(self._session.release, _text('a name', name))

    async def regenerate_id(self):
        """Rotates the session's id when it is saved."""
        await _call(self._session.regenerate_id)

    async def set_owner(self, owner):
        """Sets the session's owner, or with None removes it."""
        await _call(self._session.set_owner, None if owner is None else _text('an owner', owner))

    async def owner(self):
        """The session's owner, or None."""
        return await _call(self._session.owner)

    async def destroy_others(self):
        """Ends all other live sessions of this session's owner immediately and returns their number."""
        return await _call(self._session.destroy_others)

    async def authenticate(self, owner, method):
        """Notes that the owner has logged in, and rotates the session's id when it is saved."""
        await _call(self._session.authenticate, _text('an owner', owner), _text('a method', method))

    async def fresh_within(self, seconds):
        """Whether the owner has logged in within the last `seconds`."""
        return await _call(self._session.fresh_within, _seconds('seconds', seconds))

    async def set_lifetime(self, *, expires=None, max_lifetime=None, cookie=None):
        """Sets how long the session lasts."""
        await _call(self._session.set_lifetime, _lifetime(expires, max_lifetime, cookie))

    async def remember(self, seconds):
        """"Remember me": the session and its cookie last this many seconds after each use."""
        await _call(self._session.remember, _seconds('seconds', seconds))

    async def set_label(self, label):
        """Sets what the owner calls the session, or with None removes it."""
        await _call(self._session.set_label, None if label is None else _text('a label', label))

    async def metadata(self):
        """What is known of the session, for its user."""
        return await _call(self._session.metadata)

    def expires_at(self):
        """The time at which the session expires unless it is used again, in seconds since 1970-01-01T00:00:00Z."""
        return self._session.expires_at()

    async def save(self, fields=None):
        """Stores all changes and returns the headers to send with the response; also appends them to `fields`, the
        header fields of a response of wasi:http 0.3, if given."""
        return self._send(await _call(self._session.save), fields)

    async def destroy(self, fields=None):
        """Ends the session immediately and returns the headers that delete the cookie, as save does."""
        headers = await _call(self._session.destroy)
        self._ended = True
        return self._send(headers, fields)

    async def set_default(self, key, value):
        """Sets a variable unless it is set already, and returns its value."""
        return _plain(await _call(self._session.set_default, _variable(key), _value(key, value)))

    async def flash(self, message):
        """Leaves a flash message for the next call of flashes."""
        await _call(self._session.flash, _value('flash', message))

    async def flashes(self):
        """Takes all flash messages of the application, oldest first."""
        return [_plain(message) for message in await _call(self._session.flashes)]

    async def entries_of(self, digest):
        """All variables of the application in another session of the same owner, sorted by name."""
        return [(key, _plain(value)) for key, value in await _call(self._session.entries_of, _text('a digest', digest))]

    async def csrf_token(self):
        """A token against forged requests, for check_csrf."""
        return await _call(self._session.csrf_token)

    async def check_csrf(self, request, token=None):
        """Raises CrossSite for a forged request, and for one that cannot be told from it unless it brings a token of this
        session."""
        if not _is_known(request) and not await _call(self._session.check_csrf, _token(token)):
            raise CrossSite(_WITHOUT_TOKEN)

    def modified(self):
        """Whether there are changes that save would write."""
        return self._session.modified()

    def accessed(self):
        """Whether anything of the session was read or changed since the start."""
        return self._session.accessed()

    def _send(self, headers, fields):
        self.headers += headers
        if fields is not None:
            _append(headers, fields)
        return headers


class Manager:
    """Manages tables and the sessions of all visitors, as lemon_session.Manager does."""

    def __init__(self, storage=None, table=None):
        self._location = _location(storage, table)

    async def create_tables(self):
        """Creates the tables or migrates those of an older version. Raises an ExceptionGroup of all errors."""
        await _call(_manager.create_tables, self._location)

    async def drop_tables(self):
        """Removes the tables with all their sessions. Raises an ExceptionGroup of all errors."""
        await _call(_manager.drop_tables, self._location)

    async def tables_exist(self):
        """Whether the tables exist."""
        return await _call(_manager.tables_exist, self._location)

    async def cleanup(self, limit=10_000):
        """Removes at most `limit` expired sessions and returns their number."""
        return await _call(_manager.cleanup, self._location, _option('limit', limit, int) or 0)

    async def count(self):
        """The number of live sessions."""
        return await _call(_manager.count, self._location)

    async def list(self, owner=None):
        """Yields the live sessions, optionally only those of one owner: `async for entry in manager.list()`."""
        owner = None if owner is None else _text('an owner', owner)
        after = None
        while True:
            page = await _call(_manager.list, self._location, owner, after, 1000)
            for entry in page.entries:
                yield entry
            after = page.next
            if after is None:
                return

    async def get(self, digest, owner=None):
        """The session with this digest if it is live; else None."""
        owner = None if owner is None else _text('an owner', owner)
        return await _call(_manager.get, self._location, _text('a digest', digest), owner)

    async def destroy(self, digest, owner=None):
        """Ends the session with this digest and returns whether a live session was ended."""
        owner = None if owner is None else _text('an owner', owner)
        return await _call(_manager.destroy, self._location, _text('a digest', digest), owner)

    async def destroy_owned(self, owner, except_digest=None):
        """Ends all sessions of an owner except one, if given, and returns their number."""
        kept = None if except_digest is None else _text('a digest', except_digest)
        return await _call(_manager.destroy_owned, self._location, _text('an owner', owner), kept)
