"""Sessions for WebAssembly applications in Python: variables that belong to one visitor and are there again on the
visitor's next request.

A request starts its session once, uses it as a dictionary, and saves it before the response is sent:

    session = start(request, app='visits')
    session['visits'] = session.get('visits', 0) + 1
    headers = session.save()                # to be sent with the response

or, with a block that saves at its end unless an exception leaves it:

    with start(request, app='visits') as session:
        session['visits'] = session.get('visits', 0) + 1
    headers = session.headers

A variable is plain data: None, bool, int of 64 bits, float, str, bytes, and lists and dictionaries. It comes back as what
it was; what is not plain data is refused with InvalidValue, never altered. A list or dictionary that was changed has to be
set again: session['cart'] is a copy.
"""

import json
from collections.abc import Mapping, MutableMapping

from componentize_py_types import Err
from wit_world.imports import manager as _manager, sessions as _sessions

# A world with other interfaces named "types" has its modules renamed.
_types = getattr(_sessions, 'lemon_session_types', None) or _sessions.types


class Error(Exception):
    """What went wrong. Each thing a caller can act on has a class of its own."""

    status = 500
    """The status code to answer a request with that failed for this reason."""


class InvalidName(Error, ValueError):
    """The name of a variable, an application, an owner or a table breaks a rule."""
    status = 400


class InvalidValue(Error, ValueError):
    """The value cannot be stored: it is no plain data, or a variable that is no integer was to be added to."""
    status = 400


class InvalidOption(Error, ValueError):
    """A parameter of start is impossible, alone or beside another one."""
    status = 400


class Reserved(Error):
    """The application's name is reserved, and the caller does not hold the reservation."""
    status = 403


class TooLarge(Error):
    """A limit was met: of a variable, of a session, or of the Cookie header."""
    status = 413


class Unreadable(Error):
    """The stored bytes were written in a format that this version does not know. They are left as they are."""
    status = 500


class Conflict(Error):
    """With strict: somebody else saved this session since it was started here. Start again and repeat."""
    status = 409


class Gone(Error):
    """The session has ended: destroyed, expired, or its id changed by a login. Nothing was saved."""
    status = 409


class Storage(Error):
    """The store could not be reached or answered with trouble. Nothing was saved, and no session was made up."""
    status = 503


class CrossSite(Error):
    """Another site had the visitor's browser send the request: see check_same_origin."""
    status = 403


class Denied(Error):
    """The host's grant to this application does not include this function of the manager."""
    status = 403


class TooMany(Error):
    """The visitor's address has begun more new sessions than the host allows for now. Nothing was saved."""
    status = 429


_ERRORS = (InvalidName, InvalidValue, InvalidOption, Reserved, TooLarge, Unreadable, Conflict, Gone, Storage, Denied,
           TooMany)
_ERROR_OF = {getattr(_types, 'Error_' + error.__name__): error for error in _ERRORS}


def _error(error):
    kind = _ERROR_OF[type(error)]
    return kind(getattr(error, 'value', kind.__doc__))


def _call(function, *arguments):
    try:
        return function(*arguments)
    except Err as error:
        if isinstance(error.value, list):
            raise ExceptionGroup('the tables', [_error(one) for one in error.value]) from None
        raise _error(error.value) from None


def start(request=None, *, app=None, session_id=None, storage=None, table=None, expires=None, cookie=None, seed=None,
          cleanup=None, strict=None, cache_limiter=None):
    """Begins a session, unless the request brings one that exists.

    request: a request of wasi:http, or the environment of a CGI program (os.environ) or of WSGI.
    app: the application whose variables these are, 1 to 255 characters.
    session_id: use the session of this id; cookies then play no part. One that is unknown or malformed, such as '' for a
        visitor who has none yet, begins a new session.
    storage, table: where the session is kept, as the host's configuration names it.
    expires: the session's idle time in seconds.
    cookie: a dictionary of name, path, domain, secure ('auto', 'on' or 'off'), http_only, same_site ('strict', 'lax' or
        'none'), partitioned, lifetime (in seconds; 0: until the browser closes) and comment.
    seed: text mixed into new ids.
    cleanup: the probability that this start has expired sessions cleaned up.
    strict: have save raise Conflict when somebody else saved this session in the meantime.
    cache_limiter: what caches may do with the response: 'nocache', 'private', 'public' or 'none'.

    What is not given comes from the host's settings.
    """
    cookies, https = _of_request(request)
    options = _sessions.Options(
        app=_option('app', app, str), cookies=cookies, https=https, session_id=_option('session_id', session_id, str),
        location=_location(storage, table), expires=_option('expires', expires, int),
        cookie=None if cookie is None else _cookie(cookie), seed=_option('seed', seed, str),
        cleanup=_option('cleanup', cleanup, float), strict=_option('strict', strict, bool),
        cache_limiter=_one_of('cache_limiter', cache_limiter, _types.CacheLimiter))
    return Session(_call(_sessions.start, options))


# The component's side aborts the whole request at a value of the wrong type, so nothing of one goes there.

def _option(name, value, kind):
    """A parameter that is none or of a kind; an int is also a float, and a bool no int."""
    if value is None:
        return None
    if kind is str:
        return _text(name, value, InvalidOption)
    if kind is float and type(value) is int:
        return float(value) if abs(value) < 2**53 else float('inf')
    if type(value) is not kind:
        raise InvalidOption(f'{name} is a {kind.__name__}, no {type(value).__name__}')
    if kind is int and not 0 <= value < 2**32:
        raise InvalidOption(f'{name} is a whole number from 0 to 2**32-1')
    return value


def _text(what, value, error=InvalidName):
    """A str as it is."""
    if not isinstance(value, str):
        raise error(f'{what} is a str, no {type(value).__name__}')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise error(f'{what} holds half of a surrogate pair, which UTF-8 has not') from None
    return value


def _location(storage, table):
    return _types.Location(_option('storage', storage, str), _option('table', table, str))


def _of_request(request):
    """The values of the Cookie fields, and whether the visitor sent the request over HTTPS."""
    if request is None:
        return [], False
    if isinstance(request, Mapping):
        cookie = request.get('HTTP_COOKIE')
        https = request.get('HTTPS', '').lower() not in ('', 'off') or request.get('wsgi.url_scheme') == 'https'
        forwarded = request.get('HTTP_X_FORWARDED_PROTO', '')
        return ([] if cookie is None else [cookie.encode('utf-8', 'surrogateescape')]), https or _is_https(forwarded)
    headers = request.headers()
    forwarded = headers.get('x-forwarded-proto')
    https = type(request.scheme()).__name__ == 'Scheme_Https'
    return headers.get('cookie'), https or bool(forwarded) and _is_https(forwarded[-1].decode('latin-1'))


def _is_https(forwarded):
    # Of several values, the last is the nearest proxy's: a client can only add values before it.
    return forwarded.rsplit(',', 1)[-1].strip().lower() == 'https'


def check_same_origin(request):
    """Raises CrossSite for a request that another site had the visitor's browser send: a forged form that signs the visitor
    in, or changes what is theirs (CSRF). Call it before anything that a request with a method such as POST changes.

    GET, HEAD, OPTIONS and TRACE pass, so they must not change anything. Sec-Fetch-Site, which browsers send over HTTPS and
    to localhost, has to be same-origin or none. Without it, Origin has to name the host and port that the request was sent
    to; a proxy in front of the server has to pass Host on. A request with neither does not come from a browser, and passes.
    """
    method, host, header = _sent(request)
    if method in ('GET', 'HEAD', 'OPTIONS', 'TRACE'):
        return
    sites, origins = header('sec-fetch-site'), header('origin')
    if sites:
        if not all(site in ('same-origin', 'none') for site in sites):
            raise CrossSite('the request comes from another origin: Sec-Fetch-Site says so')
    elif origins and not (len(origins) == 1 and _is_own(origins[0], host, _of_request(request)[1])):
        raise CrossSite('the request comes from another origin: its Origin is not its Host, which a proxy has to pass on')


def _sent(request):
    """The method of a request, the host it was sent to, and a function for the values of its fields of one name."""
    if isinstance(request, Mapping):
        def header(name):
            value = request.get('HTTP_' + name.upper().replace('-', '_'))
            return [] if value is None else [value]
        return request.get('REQUEST_METHOD', ''), request.get('HTTP_HOST'), header
    kind = request.method()
    method = getattr(kind, 'value', type(kind).__name__.removeprefix('Method_').upper())
    headers = request.headers()
    return method, request.authority(), lambda name: [value.decode('latin-1') for value in headers.get(name)]


def _is_own(origin, host, https):
    """Whether an origin, as https://example.org, is that of the request. Nobody has to name the scheme's own port."""
    scheme, _, origin = origin.partition('://')
    port = {'http': None if https else ':80', 'https': ':443'}.get(scheme)
    if not (port and origin and host):
        return False
    return host.removesuffix(port).lower() == origin.removesuffix(port).lower()


_COOKIE = {'name': str, 'path': str, 'domain': str, 'secure': _types.Secure, 'http_only': bool,
           'same_site': _types.SameSite, 'partitioned': bool, 'lifetime': int, 'comment': str}


def _cookie(cookie):
    unknown = [name for name in cookie if name not in _COOKIE]
    if unknown:
        raise InvalidOption(f'a cookie has no {unknown[0]!r}; it has {", ".join(_COOKIE)}')
    return _sessions.Cookie(**{name: _of_cookie(name, cookie.get(name), kind) for name, kind in _COOKIE.items()})


def _of_cookie(name, value, kind):
    if kind in (str, bool, int):
        return _option(name, value, kind)
    return _one_of(f'{name} of a cookie', value, kind)


def _one_of(name, value, kind):
    """A parameter that is none or one of several words."""
    if value is None:
        return None
    try:
        return kind[value.upper()]
    except (AttributeError, KeyError):
        right = ', '.join(repr(one.name.lower()) for one in kind)
        raise InvalidOption(f'{name} is one of {right}, not {value!r}') from None


class Session(MutableMapping):
    """One application's view of a session: a dictionary of its variables.

    All handles of one start share what they changed, and save on any of them saves it all. After the session has ended
    every function raises Gone.
    """

    def __init__(self, session):
        self._session = session
        self._ended = False
        self.headers = []
        """All headers that save and destroy returned so far."""

    def __getitem__(self, key):
        value = _call(self._session.get, _text('a key', key))
        if value is None:
            raise KeyError(key)
        return _plain(value)

    def __setitem__(self, key, value):
        _call(self._session.set, _text('a key', key), _value(key, value))

    def __delitem__(self, key):
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key):
        return isinstance(key, str) and _call(self._session.has_key, _text('a key', key))

    def __iter__(self):
        return iter(_call(self._session.keys))

    def __len__(self):
        return len(_call(self._session.keys))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        """Saves, unless an exception leaves the block: its changes are then discarded."""
        if kind is None and not self._ended:
            self.save()

    # get(key, default=None), pop, setdefault, update, items and values come from MutableMapping.

    def set(self, key, value):
        """Sets a variable: session[key] = value."""
        self[key] = value

    def add(self, key, delta=1):
        """Adds to an integer and returns the sum; a variable that is not there counts as 0. Concurrent requests never lose
        an addition."""
        value = _value(_text('a key', key), delta)
        if not isinstance(value, _types.Value_Integer):
            raise InvalidValue(f'{key}: an int is added, no {type(delta).__name__}')
        return _call(self._session.add, key, delta)

    def delete(self, key):
        """Removes a variable; tells whether it was there."""
        return _call(self._session.delete, _text('a key', key))

    def has_key(self, key):
        """Whether there is such a variable: key in session."""
        return key in self

    def entries(self):
        """All variables, sorted by name."""
        return [(key, _plain(value)) for key, value in _call(self._session.entries)]

    def take(self, key, default=None):
        """Reads a variable and removes it: for messages that are shown once."""
        value = _call(self._session.take, _text('a key', key))
        return default if value is None else _plain(value)

    def clear(self):
        """Removes all of the application's variables, also those that concurrent requests set before this is saved."""
        _call(self._session.clear)

    def id(self):
        """The session's id. After regenerate_id, the new one. A secret: whoever knows it has the session."""
        return self._session.id()

    def digest(self):
        """The SHA-256 digest of the id in hexadecimal: what the store and the manager know the session by. After
        regenerate_id, the digest of the old id until save. No secret."""
        return self._session.digest()

    def app(self):
        """The application whose variables this handle reads and writes."""
        return self._session.app()

    def created(self):
        """Whether start began this session; False when it was there already."""
        return self._session.created()

    def application(self, name):
        """The same session, with the variables of another application."""
        return Session(_call(self._session.application, _text('a name', name)))

    def reserve(self, name, key=None):
        """Reserves an application name, and returns the one handle that reads and writes its variables from now on."""
        return Session(_call(self._session.reserve, _text('a name', name), None if key is None else _text('a key', key)))

    def release(self, name):
        """Ends the reservation of a name. Only a handle that reserve returned for it can."""
        _call(self._session.release, _text('a name', name))

    def regenerate_id(self):
        """Gives the session a new id when it is saved. To be called at each login and each change of rights."""
        _call(self._session.regenerate_id)

    def set_owner(self, owner):
        """Says whose session this is, or with None that it is nobody's."""
        _call(self._session.set_owner, None if owner is None else _text('an owner', owner))

    def owner(self):
        """Whose session this is."""
        return _call(self._session.owner)

    def destroy_others(self):
        """Ends all other live sessions of this session's owner at once, and returns how many: for a change of password."""
        return _call(self._session.destroy_others)

    def expires_at(self):
        """When the session expires unless it is used again, in seconds since 1970-01-01T00:00:00Z."""
        return self._session.expires_at()

    def save(self, fields=None):
        """Stores all changes in one transaction, and returns the headers to send with the response: pairs of str. They are
        also appended to `fields`, the header fields of a response of wasi:http, if given: their own cache-control takes
        precedence, unless a cookie is set.

        Every request calls this, also one that only read.
        """
        return self._send(_call(self._session.save), fields)

    def destroy(self, fields=None):
        """Ends the session at once and discards all changes. Returns the headers that delete the cookie, if the visitor may
        have one, as save does."""
        headers = _call(self._session.destroy)
        self._ended = True
        return self._send(headers, fields)

    def _send(self, headers, fields):
        self.headers += headers
        if fields is not None:
            _append(headers, fields)
        return headers


def _append(headers, fields):
    """Appends headers to fields that may have some already."""
    sets_cookie = any(name == 'set-cookie' for name, _ in headers)
    for name, value in headers:
        value = value.encode()
        there = fields.get(name)
        if there and name == 'cache-control':
            # No cache may keep a response that sets a cookie.
            if sets_cookie:
                fields.set(name, [value])
        elif there and name == 'vary':
            names = [one.strip().lower() for field in there for one in field.split(b',')]
            if b'*' not in names and value.lower() not in names:
                fields.set(name, [b', '.join([*there, value])])
        # Two starts of one request may both have sent it.
        elif value not in there:
            fields.append(name, value)


class Manager:
    """Sets up what sessions are stored in, and manages all of them.

    What an application may call is its grant, which the host configures: unless it says otherwise, list and destroy with an
    owner, and destroy_owned. Every other call raises Denied.
    """

    def __init__(self, storage=None, table=None):
        self._location = _location(storage, table)

    def create_tables(self):
        """Creates the tables. Raises an ExceptionGroup of all that went wrong."""
        _call(_manager.create_tables, self._location)

    def drop_tables(self):
        """Removes the tables with all sessions in them. Raises an ExceptionGroup of all that went wrong."""
        _call(_manager.drop_tables, self._location)

    def tables_exist(self):
        """Whether the tables are there."""
        return _call(_manager.tables_exist, self._location)

    def cleanup(self, limit=10_000):
        """Removes expired sessions, at most `limit`, and returns how many."""
        return _call(_manager.cleanup, self._location, _option('limit', limit, int) or 0)

    def count(self):
        """How many sessions are live."""
        return _call(_manager.count, self._location)

    def list(self, owner=None):
        """The live sessions, those of one owner if one is given: with digest, created, accessed, expires, owner, size."""
        owner = None if owner is None else _text('an owner', owner)
        after = None
        while True:
            page = _call(_manager.list, self._location, owner, after, 1000)
            yield from page.entries
            after = page.next
            if after is None:
                return

    def destroy(self, digest, owner=None):
        """Ends one session by the digest of its id, if `owner` is given only one of this owner; tells whether a live session
        was ended."""
        owner = None if owner is None else _text('an owner', owner)
        return _call(_manager.destroy, self._location, _text('a digest', digest), owner)

    def destroy_owned(self, owner, except_digest=None):
        """Ends all sessions of an owner, all but the one of `except_digest` if given, and returns how many."""
        kept = None if except_digest is None else _text('a digest', except_digest)
        return _call(_manager.destroy_owned, self._location, _text('an owner', owner), kept)


_PLAIN = 'a variable is None, bool, int, float, str, bytes, list or dict'
# What the readers of all languages take.
_DEPTH = 127


def _value(key, value):
    """The value that plain data is stored as."""
    try:
        kind = type(value)
        if value is None:
            return _types.Value_Null()
        if kind is bool:
            return _types.Value_Boolean(value)
        if kind is float:
            return _types.Value_Real(value)
        if kind is bytes:
            return _types.Value_Bytes(value)
        _check(value, 0)
        if kind is int:
            return _types.Value_Integer(value)
        if kind is str:
            return _types.Value_Text(value)
        return _types.Value_Json(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(',', ':')))
    except ValueError as error:
        raise InvalidValue(f'{key}: {error}') from None


def _check(value, depth):
    """Refuses what would not come back as it is. json.dumps makes lists of tuples, and text of a dictionary's other keys."""
    kind = type(value)
    if value is None or kind is bool:
        return
    if kind is int:
        if not -2**63 <= value < 2**63:
            raise ValueError('an int is outside of -2**63 to 2**63-1; a str holds any number')
    elif kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError('a str holds half of a surrogate pair, which UTF-8 has not') from None
    elif kind is float:
        if value != value or value in (float('inf'), float('-inf')):
            raise ValueError('a float inside of a list or dict is infinite or NaN, which JSON has not')
    elif kind is bytes:
        raise ValueError('there are bytes inside of a list or dict, which JSON has not; a variable of their own holds them')
    elif kind is not list and kind is not dict:
        raise ValueError(f'a {kind.__name__} is no plain data: {_PLAIN}')
    elif depth == _DEPTH:
        raise ValueError(f'lists and dicts are nested deeper than {_DEPTH} levels, or hold themselves')
    elif kind is list:
        for one in value:
            _check(one, depth + 1)
    else:
        for name, one in value.items():
            if type(name) is not str:
                raise ValueError(f'a key of a dict is a {type(name).__name__}; JSON has only str')
            _check(name, depth)
            _check(one, depth + 1)


def _plain(value):
    """The plain data that a value is."""
    if isinstance(value, _types.Value_Null):
        return None
    if isinstance(value, _types.Value_Json):
        return json.loads(value.value)
    return value.value
