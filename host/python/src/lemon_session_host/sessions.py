"""The sessions of a server: a store, the settings, and the instances of the session component."""

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from wasmtime import WasiConfig

from . import _component, _imports, values
from ._instances import SESSIONS, Lease, Pool, Program
from .errors import InvalidOption
from .requests import client, cookies_and_https
from .session import Location, Manager, Session
from .settings import CacheLimiter, SameSite, Secure, Settings, as_environment
from .store import Store
from .stores.sqlite import Sqlite

__all__ = ['Cookie', 'Sessions']


class Cookie(TypedDict, total=False):
    """The cookie of one session. What is not given comes from the settings."""

    name: str
    path: str
    domain: str
    secure: Secure
    http_only: bool
    same_site: SameSite
    partitioned: bool
    lifetime: int
    comment: str


_COOKIE: dict[str, Any] = {
    'name': str, 'path': str, 'domain': str, 'secure': ('auto', 'on', 'off'), 'http_only': bool,
    'same_site': ('strict', 'lax', 'none'), 'partitioned': bool, 'lifetime': int, 'comment': str,
}


class Sessions:
    """The sessions of a server. One object serves all threads, and after a fork each process has instances and connections
    of its own.

    storage: the URL of the store, or a Store:
        `sqlite:PATH`, which `lemon-session` may use at the same time; options: synchronous, busy_timeout;
        `redis://USER:PASSWORD@HOST:PORT/DATABASE`, likewise; options: timeout, ca_file (needs the package redis);
        `files:FOLDER`, the session component with a store in files.
    settings: the defaults and limits of all sessions.
    table, tables: the table, and further ones that a start may name.
    stores: further stores that a start may name.
    create_tables: whether tables that are missing are created when a store is first used.
    """

    def __init__(self, storage: str | Store = 'sqlite:sessions.db', settings: Settings | None = None, *,
                 table: str = 'Session', tables: Sequence[str] = (), stores: Mapping[str, str | Store] | None = None,
                 create_tables: bool = True, **options: Any):
        self.settings = Settings() if settings is None else settings
        for name in (table, *tables):
            _check_table(name)
        caller = _imports.Caller()
        if isinstance(storage, str) and storage.startswith('files:'):
            if stores or tables:
                raise InvalidOption('a store in files is the only one: stores and tables cannot be given')
            self._storage: _imports.Storage | None = None
            program = _files(storage.removeprefix('files:'), self.settings, table, create_tables, options)
        else:
            openers: dict[str | None, Callable[[str], Store]] = {None: _opener(storage, create_tables, table, options)}
            for name, other in (stores or {}).items():
                openers[name] = _opener(other, create_tables, table, {})
            self._storage = _imports.Storage(_imports.Stores(openers, table, tables))
            imports = {
                _imports.STORAGE: self._storage.functions(),
                _imports.SETTINGS: _imports.settings_functions(self.settings, caller),
            }
            of_these = self.settings

            def program() -> Program:
                return Program(_component.BARE, of_these, imports, WasiConfig)
        self._pool = Pool(program, caller, self.settings.limits)
        _all.add(self)

    def start(self, request: Any = None, *, app: str | None = None, session_id: str | None = None,
              storage: str | None = None, table: str | None = None, expires: int | None = None,
              cookie: Cookie | None = None, seed: str | None = None, cleanup: float | None = None,
              strict: bool | None = None, cache_limiter: CacheLimiter | None = None) -> Session:
        """Starts the session that the request's cookie names, or a new one.

        request: the environment of WSGI, the scope of ASGI, or a request of Flask, Django or Starlette.
        app: the application whose variables the session reads and writes: 1 to 255 characters.
        session_id: use the session with this id instead of cookies. An unknown or malformed id, such as '' for a new
            visitor, starts a new session.
        storage, table: the names of the store and the table.
        expires: the idle time in seconds: the session lasts at least this long after its last use.
        cookie: a dictionary of name, path, domain, secure ('auto', 'on' or 'off'), http_only, same_site ('strict',
            'lax' or 'none'), partitioned, lifetime (in seconds; 0: until the browser closes) and comment.
        seed: text mixed into new ids. It cannot weaken them.
        cleanup: the probability, from 0 to 1, that this start triggers a cleanup of expired sessions.
        strict: make save raise Conflict when another request saved this session first.
        cache_limiter: the Cache-Control of the response: 'nocache', 'private', 'public' or 'none'.

        Parameters that are None default to the settings.
        """
        return self.lazily(request, app=app, session_id=session_id, storage=storage, table=table, expires=expires,
                           cookie=cookie, seed=seed, cleanup=cleanup, strict=strict, cache_limiter=cache_limiter).start()

    def lazily(self, request: Any = None, *, lease: Lease | None = None, **options: Any) -> Session:
        """A session with the parameters of start, which starts when it is first used. With the lease of another session of
        the same request, a second start of a new visitor joins the first."""
        record = _options(request, **options)
        of_client = client(request)

        def start(lease: Lease) -> Any:
            lease.client = of_client
            return lease.open(SESSIONS, 'start', record)
        return Session(lease or self._pool.lease, start)

    def manager(self, storage: str | None = None, table: str | None = None) -> Manager:
        """Manages the tables and the sessions of all visitors."""
        return Manager(self._pool, _location(storage, table))

    def wsgi(self, application: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """An application of WSGI whose requests have a session in `environ['lemon.session']`. The options are those of
        start."""
        from .wsgi import Middleware
        return Middleware(self, application, **options)

    def asgi(self, application: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """An application of ASGI whose requests have a session in `scope['lemon.session']` and, for Starlette's
        `request.session`, in `scope['session']`. The options are those of start."""
        from .asgi import Middleware
        return Middleware(self, application, **options)

    def close(self) -> None:
        """Closes the connections of this process. The next call opens them again."""
        if self._storage is not None:
            self._storage.close()

    def _after_fork(self) -> None:
        self._pool.after_fork()
        if self._storage is not None:
            self._storage.after_fork()


_all: 'weakref.WeakSet[Sessions]' = weakref.WeakSet()


def _after_fork() -> None:
    _component.forget_lock()
    for sessions in list(_all):
        sessions._after_fork()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)


def _check_table(name: str) -> None:
    if not (isinstance(name, str) and name.isascii() and name[:1].isalpha() and name.replace('_', 'a').isalnum()
            and len(name) <= 48):
        raise ValueError(f'{name!r} is not a table name: a letter, then letters, digits and _, at most 48 characters')


def _opener(storage: str | Store, create_tables: bool, table: str, options: dict[str, Any]) -> Callable[[str], Store]:
    """Opens the store of a URL, or raises ValueError for one that is impossible."""
    if isinstance(storage, Store):
        if options:
            raise ValueError(f'a Store has no options here: {", ".join(options)}')
        given = storage

        def make(table: str) -> Store:
            return given
    elif storage.startswith('sqlite:'):
        path = storage.removeprefix('sqlite:')
        if not path or path.startswith('//') or path == ':memory:':
            raise ValueError('a storage URL of SQLite is sqlite:PATH, without // before the path')
        if table.lower().startswith('sqlite_'):
            raise ValueError(f'{table} cannot be the table: SQLite reserves names that begin with sqlite_')

        def make(table: str) -> Store:
            return Sqlite(path, table, **options)
        make(table)
    elif storage.startswith(('redis:', 'rediss:', 'redis+cluster:', 'rediss+cluster:', 'redis+sentinel:', 'rediss+sentinel:')):
        from .stores.redis import Redis

        def make(table: str) -> Store:
            return Redis(storage, table, **options)
        make(table).close()
    else:
        scheme = storage.partition(':')[0]
        raise ValueError(f'{scheme!r} is no scheme of a store: there are sqlite:PATH, redis://HOST:PORT and files:FOLDER')

    def open(table: str) -> Store:
        store = make(table)
        if create_tables:
            store.create_tables()
        return store
    return open


def _files(folder: str, settings: Settings, table: str, create_tables: bool,
           options: dict[str, Any]) -> Callable[[], Program]:
    """The session component with a store in files."""
    path = Path(folder).absolute()
    if not folder or not path.is_dir():
        raise ValueError(f'there is no folder {folder!r} for the files of sessions: create it, for this user alone')
    variables = [*as_environment(settings), ('LEMON_SESSION_STORAGE', 'files:/sessions'),
                 ('LEMON_SESSION_STORAGE_TABLE', table),
                 ('LEMON_SESSION_CREATE_TABLES', 'true' if create_tables else 'false')]
    variables += [(f'LEMON_SESSION_STORAGE_{name.upper()}', str(value)) for name, value in options.items()]

    def wasi() -> WasiConfig:
        config = WasiConfig()
        config.env = variables
        config.preopen_dir(str(path), '/sessions')
        config.inherit_stderr()
        return config
    return lambda: Program(_component.FILES, settings, {}, wasi, has_threads=True)


# All values are checked here: the conversion for the component takes only right types.

def _options(request: Any, *, app: Any = None, session_id: Any = None, storage: Any = None, table: Any = None,
             expires: Any = None, cookie: Any = None, seed: Any = None, cleanup: Any = None, strict: Any = None,
             cache_limiter: Any = None) -> tuple[Any, ...]:
    """The record `options` of lemon:session/sessions."""
    cookies, https = cookies_and_https(request)
    return (_option('app', app, str), cookies, https, _option('session_id', session_id, str), _location(storage, table),
            _option('expires', expires, int), None if cookie is None else _cookie(cookie), _option('seed', seed, str),
            _option('cleanup', cleanup, float), _option('strict', strict, bool),
            _one_of('cache_limiter', cache_limiter, ('nocache', 'private', 'public', 'none')))


def _option(name: str, value: Any, kind: Any) -> Any:
    """Checks a parameter that is None or of a type. An int is accepted as a float, a bool is not accepted as an int."""
    if value is None:
        return None
    if kind is str:
        return values.text(name, value, InvalidOption)
    if kind is float and type(value) is int:
        return float(value) if abs(value) < 2**53 else float('inf')
    if type(value) is not kind:
        raise InvalidOption(f'{name} must be {_a(kind)}, not {type(value).__name__}')
    if kind is int and not 0 <= value < 2**32:
        raise InvalidOption(f'{name} must be an int from 0 to 2**32-1, not {value}')
    return value


def _one_of(name: str, value: Any, right: Sequence[str]) -> str | None:
    if value is None:
        return None
    if value not in right:
        raise InvalidOption(f'{name} must be one of {", ".join(map(repr, right))}, not {value!r}')
    return str(value)


def _location(storage: Any, table: Any) -> Location:
    return _option('storage', storage, str), _option('table', table, str)


def _a(kind: type) -> str:
    return f'an {kind.__name__}' if kind is int else f'a {kind.__name__}'


def _cookie(cookie: Any) -> tuple[Any, ...]:
    unknown = [name for name in cookie if name not in _COOKIE]
    if unknown:
        raise InvalidOption(f'a cookie has no attribute {unknown[0]!r}; its attributes are {", ".join(_COOKIE)}')
    return tuple(_one_of(f'{name} of a cookie', cookie.get(name), kind) if isinstance(kind, tuple)
                 else _option(name, cookie.get(name), kind) for name, kind in _COOKIE.items())
