"""Sessions in Redis or Valkey, in the keys of the Redis driver of `lemon-session`: both can use one server at once.

All changes are made by the driver's own Lua scripts, which are part of this package; host/redis explains what is stored.
A cluster is not supported: there, changes take several steps, which only the driver knows.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .._component import data
from ..store import (
    Change, DestroyCondition, Found, Listed, LoadOutcome, MissingTables, Record, Store, Unavailable, UpdateOutcome,
    Variable, Write
)

T = TypeVar('T')

_LAYOUT = b'1'
# Lua's numbers are exact up to here.
_FAR = 2**53 - 1
# The most sessions that one script ends: a script blocks all other calls.
_AT_ONCE = 100
# The most tombstones that a call follows before it gives up.
_STEPS = 100
_PAGE = 1000
_RECORD = ('created', 'accessed', 'expires', 'ends', 'renewed', 'owner', 'version', 'size')

_REASONS = {
    'OOM': 'it is out of memory (maxmemory)',
    'READONLY': 'it has become a replica',
    'MASTERDOWN': 'it has become a replica, and does not reach its primary',
    'NOPERM': 'the user may not use the commands or keys that sessions need',
    'MISCONF': 'it cannot write to its disk, and so refuses changes',
    'NOREPLICAS': 'too few replicas are connected',
    'MOVED': 'it is a node of a cluster, which this package does not support',
    'CROSSSLOT': 'it is a node of a cluster, which this package does not support',
}


class _Script:
    def __init__(self, *parts: str):
        self.text = ''.join(data(f'scripts/{part}.lua').decode() for part in parts)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class _Scripts:
    """The scripts, read once."""

    def __init__(self) -> None:
        self.load = _Script('common', 'load')
        self.fetch = _Script('common', 'fetch')
        self.reuse = _Script('common', 'reuse')
        self.identity = _Script('common', 'identity')
        self.create = _Script('common', 'create')
        self.update = _Script('common', 'change', 'leave', 'update')
        self.destroy = _Script('common', 'end', 'destroy')
        self.destroy_owned = _Script('common', 'end', 'destroy_owned')
        self.reading = self.load, self.fetch, self.reuse, self.identity


class Redis(Store):
    """A store in Redis.

    url: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, or `rediss://` for TLS.
    timeout: how long a call may take, in seconds.
    """

    def __init__(self, url: str, table: str = 'Session', *, timeout: float = 5, ca_file: str | None = None):
        if re.match(r'rediss?\+cluster:', url):
            raise ValueError('Redis Cluster is not supported in Python: use lemon-session, or one server')
        if not re.fullmatch(r'rediss?://([^@/]*@)?[^@/,?#]+(/\d*)?', url):
            raise ValueError('the storage URL is of the form redis://USER:PASSWORD@HOST:PORT/DATABASE')
        options: dict[str, Any] = {'ssl_ca_certs': ca_file} if ca_file else {}
        # The client must not repeat calls that may have taken effect.
        self._client = redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout,
                                            retry=Retry(NoBackoff(), 0), **options)
        where = self._client.connection_pool.connection_kwargs
        self._name = f'Redis at {where.get("host", "localhost")}:{where.get("port", 6379)}'
        self._table = table
        self._scripts = _Scripts()

    def summary(self) -> str:
        return self._name

    def load(self, digest: bytes, app: str, now: int, inline_bytes: int) -> LoadOutcome:
        prefix = _prefix(app)
        found = self._find(self._scripts.load, digest, now, prefix, inline_bytes)
        if found == 'sealed':
            # Counts the use of the tombstone, and tells whether it is there.
            word, *_ = self._script(self._scripts.reuse, [self._entry(digest), self._layout()], now)
            return 'ended' if word == b'ended' else 'absent'
        if isinstance(found, str):
            return found  # type: ignore[return-value]
        reply, renewal = found
        record, fields = _record(reply[:8]), reply[8:]
        details: list[Variable] = []
        variables: list[Variable] = []
        for field, value in sorted(zip(fields[::2], fields[1::2])):
            if field.startswith(_DETAILS):
                details.append(Variable(field[len(_DETAILS):].decode(), value))
            else:
                variables.append(Variable(field[len(prefix):].decode(), value))
        return Found(record, details, variables, renewal)

    def fetch(self, digest: bytes, app: str, name: str, now: int) -> bytes | None:
        found = self._find(self._scripts.fetch, digest, now, _field(app, name))
        return None if isinstance(found, str) else found[0][0]

    def create(self, digest: bytes, record: Record, writes: Sequence[Write]) -> bool:
        puts = [part for write in writes if write.value is not None
                for part in (_field(write.app, write.name), write.value)]
        size = sum(len(write.name.encode()) + len(write.value) for write in writes if write.value is not None)
        word, *_ = self._script(
            self._scripts.create, [self._entry(digest), self._layout()], record.accessed, secrets.token_hex(16), '', '',
            _time(record.created), _time(record.accessed), _time(record.expires), _time(record.absolute_expiry),
            _time(record.rotated), _some(record.owner), 1, size, *puts)
        return bool(word == b'created')

    def update(self, digest: bytes, change: Change, expected: int | None, now: int) -> UpdateOutcome:
        owner, to, until, nonce = '', '', '', b''
        keys = [self._entry(digest), self._layout()]
        if change.owner:
            owner = _some(change.owner[0]) or '-'
        if change.rotation:
            to = change.rotation.to.hex()
            keys.append(self._entry(change.rotation.to))
            if change.rotation.grace:
                until, nonce = _time(change.rotation.grace.until), change.rotation.grace.nonce
        expires, end = change.expires, ''
        if change.lifetime:
            expires, end = change.lifetime.expires, _time(change.lifetime.absolute_expiry) or '-'
            if change.lifetime.absolute_expiry is not None:
                expires = min(expires, change.lifetime.absolute_expiry)
        puts: list[Any] = []
        removals: list[Any] = []
        for app, name, value in change.writes:
            field, length = _field(app, name), len(name.encode())
            if value is None:
                removals += field, length
            else:
                puts += field, length, value
        clears = [_prefix(app) for app in change.clears]
        word, *rest = self._script(
            self._scripts.update, keys, now, '' if expected is None else expected, owner, _time(expires),
            change.max_size, change.remember, to, until, nonce, '', '', end,
            '' if change.max_owned is None else change.max_owned, len(clears), len(puts) // 3, len(removals) // 2, *clears, *puts, *removals)
        if word == b'committed':
            return 'committed', int(rest[0])
        if word == b'conflict':
            return 'conflict', int(rest[0])
        if word == b'large':
            return 'too-large', int(rest[0])
        if word == b'owned':
            return 'too-many-owned', int(rest[0])
        if word == b'taken':
            raise Unavailable('the new digest of a session is taken')
        if word == b'gone':
            return 'gone'
        raise self._unexpected('a session of a cluster' if word == b'pending' else 'a word that no script returns')

    def destroy(self, digest: bytes, only: DestroyCondition, now: int, remember: int) -> bool:
        condition = f'+{only[1]}' if isinstance(only, tuple) else '-' if only == 'expired' else ''
        word, *_ = self._script(self._scripts.destroy, [self._entry(digest), self._layout()], now, remember, condition, '')
        return bool(word == b'ended')

    def destroy_owned(self, owner: str, spared: bytes | None, now: int, remember: int) -> int:
        kept, ended = self._identity(spared, now) if spared else b'', 0
        while True:
            _, of_these, batch = self._script(
                self._scripts.destroy_owned, [f'{self._table}:o:{owner}', self._layout()], now, remember, kept, _AT_ONCE)
            ended += int(of_these)
            if int(batch) < _AT_ONCE:
                return ended

    def cleanup(self, now: int, limit: int) -> int:
        # Redis removes keys by itself.
        self._check_layout()
        return 0

    def count(self, now: int) -> int:
        self._check_layout()
        seen: set[bytes] = set()
        for names in self._pages():
            seen.update(listed.digest for listed in self._live_ones(names, now))
        return len(seen)

    def list(self, now: int, owner: str | None, after: bytes | None, limit: int) -> Sequence[Listed]:
        self._check_layout()
        if owner is not None:
            members: Any = self._call(lambda: self._client.zrange(f'{self._table}:o:{owner}', 0, -1))
            pages: Iterator[Sequence[bytes]] = iter([[self._entry(bytes.fromhex(member.decode())).encode() for member in members]])
        else:
            pages = self._pages()
        # The first `limit` that are known so far.
        found: dict[bytes, Record] = {}
        for names in pages:
            for digest, record in self._live_ones(names, now):
                if (after is None or digest > after) and (owner is None or record.owner == owner):
                    found[digest] = record
            found = dict(sorted(found.items())[:limit])
        return [Listed(digest, record) for digest, record in found.items()]

    def create_tables(self) -> None:
        self._call(lambda: self._client.set(self._layout(), _LAYOUT, nx=True))
        self._check_layout()

    def drop_tables(self) -> None:
        # First, so that nothing is stored any more.
        self._call(lambda: self._client.unlink(self._layout()))
        for names in self._pages(''):
            if names:
                self._call(lambda: self._client.unlink(*names))

    def tables_exist(self) -> bool:
        version = self._call(lambda: self._client.get(self._layout()))
        if version not in (None, _LAYOUT):
            raise self._wrong_layout(version)
        return version is not None

    def close(self) -> None:
        self._client.close()

    # Keys

    def _layout(self) -> str:
        return f'{self._table}:layout'

    def _entry(self, digest: bytes) -> str:
        return f'{self._table}:s:{digest.hex()}'

    # Calls

    def _find(self, script: _Script, digest: bytes, now: int, *arguments: Any) -> Any:
        """Runs `load` or `fetch` on the session that a digest leads to, through tombstones within their grace. Returns
        'absent', 'expired', 'ended', 'sealed', or the reply with the nonce of the first tombstone."""
        at, identity, renewal = self._entry(digest), b'', None
        for _ in range(_STEPS):
            word, *rest = self._script(script, [at, self._layout()], now, identity, *arguments)
            if word == b'found':
                return rest, renewal
            if word == b'follow':
                at, identity = self._entry(bytes.fromhex(rest[0].decode())), rest[1]
                renewal = rest[2] if renewal is None else renewal
            elif renewal is not None:
                # A tombstone within its grace, whose session has ended.
                return 'sealed'
            elif word in (b'absent', b'expired', b'ended'):
                return word.decode()
            else:
                raise self._unexpected('a session of a cluster')
        raise Unavailable(f'{self._name}: a session changed so often that a call gave up')

    def _identity(self, digest: bytes, now: int) -> bytes:
        """What the session of a digest keeps when its id is rotated; empty if there is none."""
        at, identity = self._entry(digest), b''
        for _ in range(_STEPS):
            word, *rest = self._script(self._scripts.identity, [at, self._layout()], now, identity)
            if word == b'found':
                return bytes(rest[0])
            if word != b'follow':
                return b''
            at, identity = self._entry(bytes.fromhex(rest[0].decode())), rest[1]
        raise Unavailable(f'{self._name}: a session changed so often that a call gave up')

    def _live_ones(self, names: Sequence[bytes], now: int) -> Sequence[Listed]:
        digests = [digest for digest in map(self._digest_in, names) if digest]

        def read() -> Any:
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.time()
                for digest in digests:
                    pipeline.hmget(self._entry(digest), [*_RECORD, 'pending'])
                return pipeline.execute()

        if not digests:
            return []
        (clock, _), *entries = self._call(read)
        # As in the scripts: what is live by the server's clock is live for every caller.
        now = min(now, clock)
        listed = []
        for digest, (*fields, pending) in zip(digests, entries):
            # The entry is absent, a tombstone, or an unfinished copy.
            if fields[0] is not None and pending is None and int(fields[2]) > now:
                listed.append(Listed(digest, _record(fields)))
        return listed

    def _digest_in(self, name: bytes) -> bytes | None:
        digits = name.decode(errors='replace').removeprefix(f'{self._table}:s:')
        return bytes.fromhex(digits) if re.fullmatch('[0-9a-f]{64}', digits) else None

    def _pages(self, kind: str = 's:') -> Iterator[Sequence[bytes]]:
        """A pass over all keys of this store."""
        client: Any = self._client
        cursor = 0
        while True:
            cursor, names = self._call(lambda: client.scan(cursor, match=f'{self._table}:{kind}*', count=_PAGE))
            yield names
            if cursor == 0:
                return

    def _script(self, script: _Script, keys: Sequence[str], now: int, *arguments: Any) -> Any:
        given = [_time(now), *arguments]

        client: Any = self._client

        def run() -> Any:
            try:
                return client.evalsha(script.digest, len(keys), *keys, *given)
            except redis.exceptions.NoScriptError:
                return client.eval(script.text, len(keys), *keys, *given)

        reply = self._call(run, repeat=script in self._scripts.reading)
        if not isinstance(reply, list) or not reply:
            raise self._unexpected('something other than a list')
        if reply[0] == b'layout':
            raise self._wrong_layout(reply[1] if len(reply) > 1 else None)
        return reply

    def _call(self, call: Callable[[], T], repeat: bool = True) -> T:
        """Sends a call. Repeats it once over a new connection if the first was lost, provided that it may be repeated."""
        try:
            try:
                return call()
            except redis.exceptions.ConnectionError as error:
                if not repeat or isinstance(error, redis.exceptions.AuthenticationError):
                    raise
                return call()
        except redis.exceptions.AuthenticationError:
            raise Unavailable(f'cannot connect to {self._name}: check user and password') from None
        except redis.exceptions.TimeoutError:
            raise Unavailable(f'{self._name} did not answer in time') from None
        except redis.exceptions.ConnectionError as error:
            text = 'the connection was lost, or refused: check host, port and firewall, and whether the server runs there'
            raise Unavailable(f'{self._name}: {text}') from error.__cause__
        except redis.exceptions.RedisError as error:
            # A server's own text may quote a call, and with it a session's data: it is reduced to its code.
            code = (re.match('[A-Z]+', str(error)) or [type(error).__name__])[0]
            if isinstance(error, redis.exceptions.ReadOnlyError):
                code = 'READONLY'
            elif type(error).__name__ == 'OutOfMemoryError':
                code = 'OOM'
            raise Unavailable(f'{self._name}: {code}: {_REASONS.get(code, "the server refused the call")}') from None

    def _check_layout(self) -> None:
        version = self._call(lambda: self._client.get(self._layout()))
        if version != _LAYOUT:
            raise self._wrong_layout(version)

    def _wrong_layout(self, version: Any) -> Exception:
        if version is None:
            return MissingTables(f'{self._name} has no table {self._table}: '
                                 '`Sessions.manager().create_tables()` creates it')
        return Unavailable(f'table {self._table} on {self._name} has version {version!r} of its layout, but this version of '
                           f'lemon-session-host knows only {_LAYOUT.decode()}')

    def _unexpected(self, what: str) -> Unavailable:
        return Unavailable(f"Redis answered {what}: does another program use keys with the table's name?")


# The beginning of the fields of a session's details.
_DETAILS = b'0:'


def _prefix(app: str) -> bytes:
    """The beginning of the fields of an application's variables."""
    name = app.encode()
    return b'%d:%s' % (len(name), name)


def _field(app: str, name: str) -> bytes:
    return _prefix(app) + name.encode()


def _time(time: int | None) -> str:
    return '' if time is None else str(min(time, _FAR))


def _some(owner: str | None) -> str:
    """`+` and the owner: an owner may be the empty string."""
    return '' if owner is None else f'+{owner}'


def _record(fields: Sequence[Any]) -> Record:
    created, accessed, expires, ends, renewed, owner, version, size = fields
    return Record(int(created), int(accessed), int(expires), None if ends is None else int(ends), int(renewed),
                  None if owner is None else owner.decode(), int(version), int(size))
