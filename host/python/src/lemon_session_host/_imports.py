"""What the session component imports, answered by stores in Python: lemon:session/storage and lemon:session/settings."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .requests import NO_CLIENT, Client
from .settings import Settings, as_record
from .store import Change, Found, Grace, Lifetime, MissingTables, Record, Rotation, Store, Unavailable, Write

logger = logging.getLogger('lemon_session_host')

STORAGE = 'lemon:session/storage@0.1.0'
SETTINGS = 'lemon:session/settings@0.1.0'

# The most sessions that one `list` returns, as all of them are in memory at once.
_LIST_LIMIT = 10_000
# The number of sessions that a cleanup removes in one transaction.
_CLEANUP_BATCH = 500


class UnknownLocation(Exception):
    """A store or a table that is not configured."""


class Stores:
    """The stores by name, each with its tables. A store is opened when it is first used."""

    def __init__(self, openers: Mapping[str | None, Callable[[str], Store]], table: str, tables: Sequence[str]):
        self._openers = openers
        self._table = table
        self._tables = {table, *tables}
        self._open: dict[tuple[str | None, str], Store] = {}
        self._lock = threading.Lock()

    def at(self, storage: str | None, table: str | None) -> Store:
        """The store of a location. Raises UnknownLocation for one that is not configured."""
        place = storage, self._table if table is None else table
        if store := self._open.get(place):
            return store
        if storage not in self._openers:
            raise UnknownLocation(f'there is no store {storage!r}: name it in `stores`')
        if place[1] not in self._tables:
            raise UnknownLocation(f'there is no table {table!r}: name it in `tables`')
        with self._lock:
            return self._open.get(place) or self._open.setdefault(place, self._openers[storage](place[1]))

    def close(self) -> None:
        for store in list(self._open.values()):
            store.close()

    def after_fork(self) -> None:
        self._lock = threading.Lock()


class Storage:
    """The functions of lemon:session/storage. None of them raises: an exception is answered as a failure."""

    def __init__(self, stores: Stores):
        self._stores = stores
        self._cleaning = threading.Lock()

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Each function by its name in the WIT."""
        answered: dict[str, Callable[..., Any]] = {
            'load': self._load, 'fetch': self._fetch, 'create': self._create, 'update': self._update,
            'destroy': self._destroy, 'destroy-owned': self._destroy_owned, 'cleanup': self._cleanup,
            'count': lambda store, now: store.count(now), 'list': self._list,
            'create-tables': lambda store: store.create_tables(), 'drop-tables': lambda store: store.drop_tables(),
            'tables-exist': lambda store: store.tables_exist(),
        }
        return {name: self._answering(name, function) for name, function in answered.items()} | {
            'cleanup-later': self._cleanup_later}

    def _answering(self, name: str, function: Callable[..., Any]) -> Callable[..., tuple[bool, Any]]:
        def answer(location: tuple[str | None, str | None], *arguments: Any) -> tuple[bool, Any]:
            try:
                return True, function(self._stores.at(*location), *arguments)
            except UnknownLocation as error:
                logger.warning('a session was asked for in a place that is not configured: %s', error)
                return False, ('unknown-location', str(error))
            except MissingTables as error:
                logger.error('the tables of the sessions are missing: %s', error)
                return False, ('missing-tables', str(error))
            except Unavailable as error:
                logger.error('the session store failed: %s', error)
                return False, ('unavailable', str(error))
            except Exception as error:
                # Its text may contain a value: the log gets it, the application only the kind.
                logger.exception('the session store failed in %s', name)
                return False, ('unavailable', f'the store raised {type(error).__name__}')
        return answer

    def _load(self, store: Store, digest: bytes, app: str, now: int, inline_bytes: int) -> tuple[str, Any]:
        found = store.load(digest, app, now, inline_bytes)
        if not isinstance(found, Found):
            if found == 'ended':
                logger.warning('the id of a session that has ended was presented: %s', digest.hex()[:8])
            return found, None
        details, variables = ([(name, ('large', value) if isinstance(value, int) else ('inline', value))
                               for name, value in of] for of in (found.details, found.variables))
        return 'found', (found.record, details, variables, found.renewal)

    def _fetch(self, store: Store, digest: bytes, app: str, name: str, now: int) -> bytes | None:
        return store.fetch(digest, app, name, now)

    def _create(self, store: Store, digest: bytes, record: tuple[Any, ...], writes: Any) -> str:
        created = store.create(digest, Record(*record), _writes(writes))
        return 'created' if created else 'exists'

    def _update(self, store: Store, digest: bytes, change: Any, expected: int | None, now: int) -> tuple[str, Any]:
        clears, writes, owner, max_owned, expires, lifetime, rotation, max_size, remember = change
        if rotation is not None:
            to, grace = rotation
            rotation = Rotation(to, grace and Grace(*grace))
        changed = Change(clears, _writes(writes), owner, max_owned, expires, lifetime and Lifetime(*lifetime), rotation,
                         max_size, remember)
        outcome = store.update(digest, changed, expected, now)
        return (outcome, None) if isinstance(outcome, str) else outcome

    def _destroy(self, store: Store, digest: bytes, only: tuple[str, Any], now: int, remember: int) -> bool:
        condition: Any = only if only[0] == 'owned' else only[0]
        return store.destroy(digest, condition, now, remember)

    def _destroy_owned(self, store: Store, owner: str, spared: bytes | None, now: int, remember: int) -> int:
        return store.destroy_owned(owner, spared, now, remember)

    def _cleanup(self, store: Store, now: int, limit: int) -> int:
        removed = 0
        while removed < limit:
            batch = min(_CLEANUP_BATCH, limit - removed)
            of_these = store.cleanup(now, batch)
            removed += of_these
            if of_these < batch:
                break
        return removed

    def _list(self, store: Store, now: int, owner: str | None, after: bytes | None, limit: int) -> Any:
        if limit > _LIST_LIMIT:
            raise Unavailable(f'a list of {limit} sessions; at most {_LIST_LIMIT} are returned')
        return store.list(now, owner, after, limit)

    def _cleanup_later(self, location: tuple[str | None, str | None], now: int) -> None:
        """Cleans up in a thread, unless one does so already."""
        cleaning = self._cleaning
        if not cleaning.acquire(blocking=False):
            return

        def clean() -> None:
            try:
                self._cleanup(self._stores.at(*location), now, 2**32)
            except Exception as error:
                logger.error('expired sessions were not removed: %s', error)
            finally:
                cleaning.release()

        try:
            threading.Thread(target=clean, name='lemon-session-cleanup', daemon=True).start()
        except RuntimeError:
            # The interpreter is ending, or there are too many threads.
            cleaning.release()

    def close(self) -> None:
        self._stores.close()

    def after_fork(self) -> None:
        self._cleaning = threading.Lock()
        self._stores.after_fork()


def _writes(writes: Iterable[Any]) -> list[Write]:
    """Of several writes of one variable, the last."""
    return list({(app, name): Write(app, name, value) for app, name, value in writes}.values())


class Caller(threading.local):
    """The request that this thread calls the component for."""

    request = 0
    client: Client = NO_CLIENT


_NOTICES = {
    'unsaved': 'a session of %r was dropped with changes that were not saved',
    'changed-after-save': 'a session of %r was changed after its last save, and not saved again',
    'started-twice': 'a session of %r was started twice in one request: neither handle sees what the other changes',
}


def settings_functions(settings: Settings, caller: Caller) -> dict[str, Callable[..., Any]]:
    """The functions of lemon:session/settings."""
    record = as_record(settings)

    def notify(notice: tuple[str, str]) -> None:
        kind, app = notice
        logger.warning(_NOTICES[kind], app)

    return {
        'get-defaults': lambda: record,
        'get-caller': lambda: (caller.request, settings.manager),
        'get-client': lambda: caller.client,
        'notify': notify,
    }

