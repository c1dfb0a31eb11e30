"""Sessions for WebAssembly applications in Python: variables that belong to one visitor and are available again on the
visitor's next request.

A request starts its session once, uses it as a dictionary, and saves it before the response is sent:

    session = start(request, app='visits')
    session['visits'] = session.get('visits', 0) + 1
    headers = session.save()                # send these with the response

or, with a block that saves at its end unless it raises an exception:

    with start(request, app='visits') as session:
        session['visits'] = session.get('visits', 0) + 1
    headers = session.headers

A variable is plain data: None, bool, a 64-bit int, float, str, bytes, or a list or dictionary of these without bytes.
It is read back unchanged; anything else is refused with InvalidValue, never altered. session['cart'] returns a copy:
after changing a list or dictionary, set the variable again.

An application of WASI 0.3 uses the module lemon_session_async instead.
"""

import json
from collections.abc import Mapping, MutableMapping

from componentize_py_types import Err
from wit_world.imports import manager as _manager, sessions as _sessions

# componentize-py renames the module if the world has several interfaces named "types".
_types = getattr(_sessions, 'lemon_session_types', None) or _sessions.types


class Error(Exception):
    """Why a call failed, with one subclass for each reaction a caller can have."""

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
    """The session is bound to a device, and the request did not show that it comes from there; or the host's grant to this
    application does not include this function of the manager."""
    status = 403


class TooMany(Error):
    """The visitor's address has created more sessions than the host allows in a minute, or the owner has as many as
    the setting max-sessions allows. Nothing was saved."""
    status = 429


_ERRORS = (InvalidName, InvalidValue, InvalidOption, Reserved, TooLarge, Unreadable, Conflict, Gone, Storage, Denied,
           TooMany)
_ERROR_OF = {getattr(_types, 'Error_' + error.__name__): error for error in _ERRORS}


def _error(error):
    kind = _ERROR_OF[type(error)]
    return kind(getattr(error, 'value', kind.__doc__))


def _raised(value):
    """The exception for an error, or for a list of errors."""
    if isinstance(value, list):
        return ExceptionGroup('errors of the tables', [_error(one) for one in value])
    return _error(value)


def _call(function, *arguments):
    try:
        return function(*arguments)
    except Err as error:
        raise _raised(error.value) from None


def start(request=None, *, app=None, session_id=None, storage=None, table=None, expires=None, cookie=None, seed=None,
          cleanup=None, strict=None, cache_limiter=None):
    """Starts the session that the request's cookie names, or a new one.

    request: a request of wasi:http, or the environment of a CGI program (os.environ) or of WSGI.
    app: the application whose variables the session reads and writes: 1 to 255 characters.
    session_id: use the session with this id instead of cookies. An unknown or malformed id, such as '' for a new
        visitor, starts a new session.
    storage, table: the names of the store and the table in the host's configuration.
    expires: the idle time in seconds: the session lasts at least this long after its last use.
    cookie: a dictionary of name, path, domain, secure ('auto', 'on' or 'off'), http_only, same_site ('strict', 'lax' or
        'none'), partitioned, lifetime (in seconds; 0: until the browser closes) and comment.
    seed: text mixed into new ids. It cannot weaken them.
    cleanup: the probability, from 0 to 1, that this start triggers a cleanup of expired sessions.
    strict: make save raise Conflict when another request saved this session first.
    cache_limiter: the Cache-Control of the response: 'nocache', 'private', 'public' or 'none'.

    Parameters that are None default to the host's settings.
    """
    options = _options(request, app=app, session_id=session_id, storage=storage, table=table, expires=expires,
                       cookie=cookie, seed=seed, cleanup=cleanup, strict=strict, cache_limiter=cache_limiter)
    return Session(_call(_sessions.start, options))


def _options(request, *, app=None, session_id=None, storage=None, table=None, expires=None, cookie=None, seed=None,
             cleanup=None, strict=None, cache_limiter=None):
    cookies, https = _of_request(request)
    return _sessions.Options(
        app=_option('app', app, str), cookies=cookies, https=https, session_id=_option('session_id', session_id, str),
        location=_location(storage, table), expires=_option('expires', expires, int),
        cookie=None if cookie is None else _cookie(cookie), seed=_option('seed', seed, str),
        cleanup=_option('cleanup', cleanup, float), strict=_option('strict', strict, bool),
        cache_limiter=_one_of('cache_limiter', cache_limiter, _types.CacheLimiter))


# componentize-py aborts the whole request if a value has the wrong type, so all values are checked here.

def _option(name, value, kind):
    """Checks a parameter that is None or of a type. An int is accepted as a float, a bool is not accepted as an int."""
    if value is None:
        return None
    if kind is str:
        return _text(name, value, InvalidOption)
    if kind is float and type(value) is int:
        return float(value) if abs(value) < 2**53 else float('inf')
    if type(value) is not kind:
        raise InvalidOption(f'{name} must be {_a(kind)}, not {type(value).__name__}')
    if kind is int and not 0 <= value < 2**32:
        raise InvalidOption(f'{name} must be an int from 0 to 2**32-1, not {value}')
    return value


def _seconds(name, value):
    if value is None:
        raise InvalidOption(f'{name} must be an int, not NoneType')
    return _option(name, value, int)


def _lifetime(expires, max_lifetime, cookie):
    return _sessions.Lifetime(_option('expires', expires, int), _option('max_lifetime', max_lifetime, int),
                              _option('cookie', cookie, int))


def _a(kind):
    return f'an {kind.__name__}' if kind is int else f'a {kind.__name__}'


def _text(what, value, error=InvalidName):
    """Checks a str that UTF-8 can encode."""
    if not isinstance(value, str):
        raise error(f'{what} must be a str, not {type(value).__name__}')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise error(f'{what} contains half of a surrogate pair, which UTF-8 cannot encode') from None
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
    headers = _part(request, 'headers')
    forwarded = headers.get('x-forwarded-proto')
    https = type(_part(request, 'scheme')).__name__ == 'Scheme_Https'
    return headers.get('cookie'), https or bool(forwarded) and _is_https(forwarded[-1].decode('latin-1'))


def _part(request, name):
    """A part of a request of wasi:http: method() of 0.2 is get_method() in 0.3."""
    return (getattr(request, name, None) or getattr(request, f'get_{name}'))()


def _is_https(forwarded):
    # The last value comes from the nearest proxy, as a client can only add values before it.
    return forwarded.rsplit(',', 1)[-1].strip().lower() == 'https'


def check_same_origin(request):
    """Raises CrossSite for a request that another site made the visitor's browser send, for example a forged form that
    logs the visitor in or changes the visitor's data (CSRF). Call it before a request with a method such as POST
    changes anything.

    GET, HEAD, OPTIONS and TRACE pass, so the application must not change anything in response to them. Sec-Fetch-Site,
    which browsers send over HTTPS and to localhost, must be same-origin or none. Without it, Origin must match the host
    and port that the request was sent to; a proxy in front of the server must pass Host on. A request with neither
    header passes, as it does not come from a browser.
    """
    _is_known(request)


def _is_known(request):
    """As check_same_origin. Returns whether the request is known to be harmless; if not, it has neither header."""
    method, host, header = _sent(request)
    if method in ('GET', 'HEAD', 'OPTIONS', 'TRACE'):
        return True
    sites, origins = header('sec-fetch-site'), header('origin')
    if sites:
        if not all(site in ('same-origin', 'none') for site in sites):
            raise CrossSite('the request comes from another origin: Sec-Fetch-Site says so')
    elif origins and not (len(origins) == 1 and _is_own(origins[0], host, _of_request(request)[1])):
        raise CrossSite('the request comes from another origin: its Origin does not match its Host, which a proxy must pass on')
    return bool(sites or origins)


_WITHOUT_TOKEN = 'the request has neither Sec-Fetch-Site nor Origin, and no valid token of this session'


def _token(token):
    """A token that a client may have sent: anything else than a text is none."""
    return token if isinstance(token, str) and token.isascii() else ''


def _sent(request):
    """The method of a request, the host it was sent to, and a function that returns the values of the fields with a
    name."""
    if isinstance(request, Mapping):
        def header(name):
            value = request.get('HTTP_' + name.upper().replace('-', '_'))
            return [] if value is None else [value]
        return request.get('REQUEST_METHOD', ''), request.get('HTTP_HOST'), header
    kind = _part(request, 'method')
    method = getattr(kind, 'value', type(kind).__name__.removeprefix('Method_').upper())
    headers = _part(request, 'headers')
    return method, _part(request, 'authority'), lambda name: [value.decode('latin-1') for value in headers.get(name)]


def _is_own(origin, host, https):
    """Whether an origin, such as https://example.org, is that of the request. The scheme's default port is optional in
    both."""
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
        raise InvalidOption(f'a cookie has no attribute {unknown[0]!r}; its attributes are {", ".join(_COOKIE)}')
    return _sessions.Cookie(**{name: _of_cookie(name, cookie.get(name), kind) for name, kind in _COOKIE.items()})


def _of_cookie(name, value, kind):
    if kind in (str, bool, int):
        return _option(name, value, kind)
    return _one_of(f'{name} of a cookie', value, kind)


def _one_of(name, value, kind):
    """Converts a parameter that is None or the name of a case of an enum."""
    if value is None:
        return None
    try:
        return kind[value.upper()]
    except (AttributeError, KeyError):
        right = ', '.join(repr(one.name.lower()) for one in kind)
        raise InvalidOption(f'{name} must be one of {right}, not {value!r}') from None


class Session(MutableMapping):
    """One application's view of a session: a dictionary of its variables.

    All handles of one start share their changes, and save on any of them saves all of these. After the session has
    ended, every method raises Gone.
    """

    def __init__(self, session):
        self._session = session
        self._ended = False
        self.headers = []
        """All headers that save and destroy returned so far."""

    def __getitem__(self, key):
        value = _call(self._session.get, _variable(key))
        if value is None:
            raise KeyError(key)
        return _plain(value)

    def __setitem__(self, key, value):
        _call(self._session.set, _variable(key), _value(key, value))

    def __delitem__(self, key):
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key):
        return isinstance(key, str) and _call(self._session.has_key, _variable(key))

    def __iter__(self):
        return iter(_call(self._session.keys))

    def __len__(self):
        return len(_call(self._session.keys))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        """Saves the session. If the block raised an exception, discards the changes instead."""
        if kind is None and not self._ended:
            self.save()

    # get(key, default=None), pop, setdefault, update, items and values come from MutableMapping.

    def set(self, key, value):
        """Sets a variable: session[key] = value."""
        self[key] = value

    def add(self, key, delta=1):
        """Adds to an integer and returns the sum. A variable that is not set counts as 0. No addition is lost to a
        concurrent request."""
        _check_delta(_variable(key), delta)
        return _call(self._session.add, key, delta)

    def delete(self, key):
        """Removes a variable and returns whether it was set."""
        return _call(self._session.delete, _variable(key))

    def has_key(self, key):
        """Whether a variable is set: key in session."""
        return key in self

    def entries(self):
        """All variables, sorted by name."""
        return [(key, _plain(value)) for key, value in _call(self._session.entries)]

    def take(self, key, default=None):
        """Reads a variable and removes it: for messages that are shown once."""
        value = _call(self._session.take, _variable(key))
        return default if value is None else _plain(value)

    def clear(self):
        """Removes all of the application's variables, including those that concurrent requests set before this change
        is saved."""
        _call(self._session.clear)

    def id(self):
        """The session's id; after regenerate_id, the new one. It is a secret: a client that sends it has the
        session."""
        return self._session.id()

    def digest(self):
        """The SHA-256 digest of the id in hexadecimal, which identifies the session to the store and the manager. After
        regenerate_id, this is the digest of the old id until save. Not a secret."""
        return self._session.digest()

    def app(self):
        """The application whose variables this handle reads and writes."""
        return self._session.app()

    def created(self):
        """Whether this start created the session."""
        return self._session.created()

    def application(self, name):
        """The same session, with the variables of another application."""
        return Session(_call(self._session.application, _text('a name', name)))

    def reserve(self, name, secret=None):
        """Reserves an application name and returns the only handle that can access its variables from now on. With
        `secret` it can be reserved again."""
        secret = None if secret is None else _text('a secret', secret)
        return Session(_call(self._session.reserve, _text('a name', name), secret))

    def release(self, name):
        """Ends the reservation of a name. Only a handle that reserve returned for it can do this."""
        _call(self._session.release, _text('a name', name))

    def regenerate_id(self):
        """Rotates the session's id: it gets a new one when it is saved, and the old one stops working then. Call this
        at each login and each change of privileges."""
        _call(self._session.regenerate_id)

    def set_owner(self, owner):
        """Sets the session's owner, usually the user who logged in, or with None removes it."""
        _call(self._session.set_owner, None if owner is None else _text('an owner', owner))

    def owner(self):
        """The session's owner, or None."""
        return _call(self._session.owner)

    def destroy_others(self):
        """Ends all other live sessions of this session's owner immediately and returns their number. Call it when a
        password changes."""
        return _call(self._session.destroy_others)

    def authenticate(self, owner, method):
        """Notes that the owner has logged in, now and by this method, such as 'password' or 'passkey', and rotates the
        session's id: it gets a new one when it is saved. Call this at each login, and each time that the owner has proved
        again who it is. With the setting max-sessions, the save ends the owner's session whose login is the oldest, or raises
        TooMany, if the owner has too many."""
        _call(self._session.authenticate, _text('an owner', owner), _text('a method', method))

    def fresh_within(self, seconds):
        """Whether the owner has logged in within the last `seconds`: for pages that ask for the password again."""
        return _call(self._session.fresh_within, _seconds('seconds', seconds))

    def set_lifetime(self, *, expires=None, max_lifetime=None, cookie=None):
        """Sets how long the session lasts, in seconds, shorter or longer than before, from its next save on. This is stored
        with the session and applies to all later requests; what is None is as the host's settings say.

        expires: the idle time.
        max_lifetime: after how many seconds from now the session ends however often it is used.
        cookie: the cookie's lifetime; 0 means until the browser closes. It follows `expires` if only that is given.
        """
        _call(self._session.set_lifetime, _lifetime(expires, max_lifetime, cookie))

    def remember(self, seconds):
        """"Remember me": the session and its cookie last this many seconds after each use, also when the browser is
        closed."""
        _call(self._session.remember, _seconds('seconds', seconds))

    def set_label(self, label):
        """Sets what the owner calls the session, such as the name of the device, or with None removes it."""
        _call(self._session.set_label, None if label is None else _text('a label', label))

    def metadata(self):
        """What is known of the session, for its user: created, accessed, absolute_expiry, authenticated_at, method, label,
        and, where the site keeps them, address and user_agent. Times are in seconds since 1970."""
        return _call(self._session.metadata)

    def expires_at(self):
        """The time at which the session expires unless it is used again, in seconds since 1970-01-01T00:00:00Z. A new
        lifetime shows after save."""
        return self._session.expires_at()

    def save(self, fields=None):
        """Stores all changes in one transaction and returns the headers to send with the response, as pairs of str. If
        `fields`, the header fields of a response of wasi:http, are given, it also appends the headers to them: an
        existing cache-control takes precedence, unless a cookie is set.

        Call it in every request, even one that only reads: it extends the session and the cookie.
        """
        return self._send(_call(self._session.save), fields)

    def destroy(self, fields=None):
        """Ends the session immediately and discards unsaved changes. Returns the headers that delete the cookie, as
        save does; none if the visitor cannot have one."""
        headers = _call(self._session.destroy)
        self._ended = True
        return self._send(headers, fields)

    def flash(self, message):
        """Leaves a flash message: a value that waits for the next call of flashes, in this request or a later one.

        Requests that leave messages at the same time keep each other's. At most 100 messages of an application wait; a
        further one replaces the oldest. They count for the limits of variables and of the session, clear removes them, and
        no other method shows them.
        """
        _call(self._session.flash, _value('flash', message))

    def flashes(self):
        """Takes all flash messages of the application, oldest first. They are gone once this is saved; two requests that
        take them at the same time both get them."""
        return [_plain(message) for message in _call(self._session.flashes)]

    def entries_of(self, digest):
        """All variables of the application in another session of the same owner, sorted by name; empty if the owner has no
        such session. A login takes over with it what the user's session on another device has."""
        return [(key, _plain(value)) for key, value in _call(self._session.entries_of, _text('a digest', digest))]

    def csrf_token(self):
        """A token against forged requests, to be put into a form or a header for check_csrf. The text differs with each
        call. It is valid until the session ends or regenerate_id is saved; after that call, this returns a token of the new
        id."""
        return _call(self._session.csrf_token)

    def check_csrf(self, request, token=None):
        """Raises CrossSite for a request that another site made the visitor's browser send, as check_same_origin does, and
        for a request with neither Sec-Fetch-Site nor Origin unless it brings a token of this session. Browsers that are
        older than these headers are covered too."""
        if not _is_known(request) and not _call(self._session.check_csrf, _token(token)):
            raise CrossSite(_WITHOUT_TOKEN)

    def modified(self):
        """Whether there are changes that save would write: of a variable or message of any application, the owner or the
        id. That a use of the session extends it is no such change."""
        return self._session.modified()

    def accessed(self):
        """Whether a variable, message, token or owner was read or changed since the start, with any handle. If not, the
        response does not depend on the visitor's session."""
        return self._session.accessed()

    def _send(self, headers, fields):
        self.headers += headers
        if fields is not None:
            _append(headers, fields)
        return headers


def _append(headers, fields):
    """Appends headers to fields, merging those that exist."""
    sets_cookie = any(name == 'set-cookie' for name, _ in headers)
    for name, value in headers:
        value = value.encode()
        there = fields.get(name)
        if there and name == 'cache-control':
            # No cache may store a response that sets a cookie.
            if sets_cookie:
                fields.set(name, [value])
        elif there and name == 'vary':
            names = [one.strip().lower() for field in there for one in field.split(b',')]
            if b'*' not in names and value.lower() not in names:
                fields.set(name, [b', '.join([*there, value])])
        # Two starts in one request can both return the same cookie.
        elif value not in there:
            fields.append(name, value)


class Manager:
    """Manages tables and the sessions of all visitors.

    The host's configuration grants each application a set of these methods: by default list, get and destroy with an
    owner, and destroy_owned. Every other call raises Denied.
    """

    def __init__(self, storage=None, table=None):
        self._location = _location(storage, table)

    def create_tables(self):
        """Creates the tables or migrates those of an older version. Raises an ExceptionGroup of all errors."""
        _call(_manager.create_tables, self._location)

    def drop_tables(self):
        """Removes the tables with all their sessions. Raises an ExceptionGroup of all errors."""
        _call(_manager.drop_tables, self._location)

    def tables_exist(self):
        """Whether the tables exist."""
        return _call(_manager.tables_exist, self._location)

    def cleanup(self, limit=10_000):
        """Removes at most `limit` expired sessions and returns their number."""
        return _call(_manager.cleanup, self._location, _option('limit', limit, int) or 0)

    def count(self):
        """The number of live sessions."""
        return _call(_manager.count, self._location)

    def list(self, owner=None):
        """Yields the live sessions, optionally only those of one owner, with digest, created, accessed, expires, owner
        and size; of one owner also with authenticated_at, method, label, address and user_agent. Times are in seconds
        since 1970, sizes in bytes."""
        owner = None if owner is None else _text('an owner', owner)
        after = None
        while True:
            page = _call(_manager.list, self._location, owner, after, 1000)
            yield from page.entries
            after = page.next
            if after is None:
                return

    def get(self, digest, owner=None):
        """The session with this digest if it is live, provided that it belongs to `owner` if one is given; else None."""
        owner = None if owner is None else _text('an owner', owner)
        return _call(_manager.get, self._location, _text('a digest', digest), owner)

    def destroy(self, digest, owner=None):
        """Ends the session with this digest, provided that it belongs to `owner` if one is given. Returns whether a
        live session was ended."""
        owner = None if owner is None else _text('an owner', owner)
        return _call(_manager.destroy, self._location, _text('a digest', digest), owner)

    def destroy_owned(self, owner, except_digest=None):
        """Ends all sessions of an owner except the one with the digest `except_digest`, if given, and returns their
        number."""
        kept = None if except_digest is None else _text('a digest', except_digest)
        return _call(_manager.destroy_owned, self._location, _text('an owner', owner), kept)


_PLAIN = 'a variable must be None, a bool, int, float, str, bytes, list or dict'
# The levels of nesting that the modules for all languages can read.
_DEPTH = 127


def _variable(key):
    return _text("a variable's name", key)


def _check_delta(key, delta):
    if not isinstance(_value(key, delta), _types.Value_Integer):
        raise InvalidValue(f'{key}: delta must be an int, not {type(delta).__name__}')


def _value(key, value):
    """Converts plain data to a session value."""
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
    """Refuses data that would not be read back unchanged: json.dumps turns tuples into lists, and keys into text."""
    kind = type(value)
    if value is None or kind is bool:
        return
    if kind is int:
        if not -2**63 <= value < 2**63:
            raise ValueError('int out of range: it must be from -2**63 to 2**63-1; store larger numbers as str')
    elif kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError('a str contains half of a surrogate pair, which UTF-8 cannot encode') from None
    elif kind is float:
        if value != value or value in (float('inf'), float('-inf')):
            raise ValueError('a float inside a list or dict is infinite or NaN, which JSON cannot express')
    elif kind is bytes:
        raise ValueError('JSON cannot express bytes inside a list or dict; store them in a separate variable')
    elif kind is not list and kind is not dict:
        raise ValueError(f'{kind.__name__} cannot be stored: {_PLAIN}')
    elif depth == _DEPTH:
        raise ValueError(f'lists and dicts are nested deeper than {_DEPTH} levels, or contain themselves')
    elif kind is list:
        for one in value:
            _check(one, depth + 1)
    else:
        for name, one in value.items():
            if type(name) is not str:
                raise ValueError(f'keys must be str, not {type(name).__name__}')
            _check(name, depth)
            _check(one, depth + 1)


def _plain(value):
    """Converts a session value to plain data."""
    if isinstance(value, _types.Value_Null):
        return None
    if isinstance(value, _types.Value_Json):
        return json.loads(value.value)
    return value.value
