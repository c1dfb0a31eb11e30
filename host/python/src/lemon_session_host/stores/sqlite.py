"""Sessions in an SQLite database, in the tables of the SQLite driver of `lemon-session`: both can use one file at once.

The tables are created by the driver's own scripts, which are part of this package. Their names begin with that of the
table, here `Session`:

- `Session`: one row for each session, live or expired. Its number, `id`, stays the same when its digest changes.
- `Session_variable`: the variables. Values longer than 400 bytes are in `Session_large`.
- `Session_tombstone`: the digests that have ended. During the grace of an id rotation, `session` is the session's number.
- `Session_meta`: the number of this layout.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from .._component import data
from ..store import (
    Change, DestroyCondition, Found, Listed, LoadOutcome, MissingTables, Record, Rotation, Store, Unavailable,
    UpdateOutcome, Variable, Write
)

T = TypeVar('T')

_LAYOUT = 3
# What the names of the tables end with. The table of tombstones was `_former` before layout 3.
_PARTS = ('', '_variable', '_large', '_tombstone', '_former', '_meta')
# The longest value that is kept beside the names.
_INLINE = 400
# The latest time that SQLite can store.
_FAR = 2**63 - 1
# How many expired sessions one transaction removes.
_BATCH = 16
# How many idle connections are kept.
_KEPT = 16

_RECORD = 's.created, s.accessed, s.expires, s.absolute_expiry, s.rotated, s.owner, s.version, s.size'


class Sqlite(Store):
    """A store in an SQLite database.

    synchronous: 'NORMAL': an answered save survives the end of the process, also by kill -9; or 'FULL': it survives a
        power failure as well.
    busy_timeout: how long a save waits for other processes, in seconds.
    """

    def __init__(self, path: 'str | os.PathLike[str]', table: str = 'Session', *,
                 synchronous: Literal['NORMAL', 'FULL'] = 'NORMAL', busy_timeout: float = 5):
        if sqlite3.sqlite_version_info < (3, 37):
            raise Unavailable(f'SQLite {sqlite3.sqlite_version} is too old: the tables of sessions need 3.37 or later')
        if synchronous not in ('NORMAL', 'FULL'):
            raise ValueError(f"synchronous is 'NORMAL' or 'FULL', not {synchronous!r}")
        # Absolute, so that a change of the working directory leads to no other file.
        self._path = Path(path).absolute()
        if self._path.is_dir():
            raise ValueError(f'{path} is a folder: the storage URL names a file in it')
        if not self._path.parent.is_dir():
            raise ValueError(f'there is no folder {self._path.parent} for the database file: create it')
        self._table, self._synchronous, self._busy_timeout = table, synchronous, busy_timeout
        self._pools: dict[int, _Pool] = {}

    def summary(self) -> str:
        return f'SQLite in {self._path}'

    # Reading

    def load(self, digest: bytes, app: str, now: int, inline_bytes: int) -> LoadOutcome:
        loaded = self._read(lambda sql: sql.load(digest, app, now, inline_bytes))
        if loaded == 'ended':
            self._write(lambda sql: sql('UPDATE "{t}_tombstone" SET reused = reused + 1 WHERE digest = ?', digest))
        return loaded

    def fetch(self, digest: bytes, app: str, name: str, now: int) -> bytes | None:
        def fetch(sql: _Statements) -> bytes | None:
            at: bytes | None = digest
            for _ in range(2):
                found = sql.row(
                    'SELECT coalesce(v.value, (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large)) '
                    'FROM "{t}" s JOIN "{t}_variable" v ON v.session = s.id AND v.app = ? AND v.name = ? '
                    'WHERE s.digest = ? AND s.expires > ?', app, name, at, now)
                if found:
                    return bytes(found[0])
                former = sql.former(digest, now)
                at = former[0] if former else None
                if at is None:
                    return None
            return None
        return self._read(fetch)

    def count(self, now: int) -> int:
        return int(self._read(lambda sql: sql.one('SELECT count(*) FROM "{t}" WHERE expires > ?', now)))

    def list(self, now: int, owner: str | None, after: bytes | None, limit: int) -> Sequence[Listed]:
        owned, arguments = ('', []) if owner is None else ('s.owner = ? AND', [owner])
        rows = self._read(lambda sql: sql(
            f'SELECT {_RECORD}, s.digest FROM "{{t}}" s WHERE {owned} s.digest > ? AND s.expires > ? '
            'ORDER BY s.digest LIMIT ?', *arguments, after or b'', now, limit).fetchall())
        return [Listed(row[8], Record(*row[:8])) for row in rows]

    # Changing

    def create(self, digest: bytes, record: Record, writes: Sequence[Write]) -> bool:
        def create(sql: _Statements) -> bool:
            if not sql.is_no_former(digest, record.accessed):
                return False
            size = sum(_size(write) for write in writes)
            created = sql(
                'INSERT INTO "{t}" (digest, created, accessed, expires, absolute_expiry, rotated, owner, version, size) '
                'VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT DO NOTHING', digest, record.created, record.accessed,
                record.expires, record.absolute_expiry, record.rotated, record.owner, size)
            if created.rowcount == 0:
                return False
            for write in writes:
                sql.write(created.lastrowid, write, None)
            return True
        return self._write(create)

    def update(self, digest: bytes, change: Change, expected: int | None, now: int) -> UpdateOutcome:
        def update(sql: _Statements) -> UpdateOutcome:
            found = sql.row('SELECT id, accessed, expires, absolute_expiry, version, size, owner FROM "{t}" WHERE digest = ?',
                            digest)
            if not found or found[2] <= now:
                return 'gone'
            session, accessed, expires, absolute_expiry, version, old_size, owner = found
            if expected is not None and expected != version:
                return 'conflict', version

            # Whether it is refused is decided before anything is written.
            size = old_size + sum(_size(write) for write in change.writes)
            for app in change.clears:
                size -= sql.one(
                    'SELECT coalesce(sum(length(CAST(name AS BLOB)) + coalesce(bytes, length(value))), 0) '
                    'FROM "{t}_variable" WHERE session = ? AND app = ?', session, app)
            olds = [None if write.app in change.clears else sql.old(session, write) for write in change.writes]
            for write, old in zip(change.writes, olds):
                size -= len(write.name.encode()) + old[0] if old else 0
            if size > old_size and size > change.max_size:
                return 'too-large', size
            if change.owner and change.owner[0] is not None and change.max_owned is not None and change.owner[0] != owner:
                others = sql.one('SELECT count(*) FROM "{t}" WHERE owner = ? AND expires > ?', change.owner[0], now)
                if others >= change.max_owned:
                    return 'too-many-owned', others
            if change.rotation and not sql.is_free(change.rotation.to, now):
                raise Unavailable('the new digest of a session is taken')

            for app in change.clears:
                sql('DELETE FROM "{t}_large" WHERE id IN (SELECT large FROM "{t}_variable" '
                    'WHERE session = ? AND app = ? AND large IS NOT NULL)', session, app)
                sql('DELETE FROM "{t}_variable" WHERE session = ? AND app = ?', session, app)
            for write, old in zip(change.writes, olds):
                sql.write(session, write, old)
            if change.clears or change.writes or change.owner or change.lifetime:
                version += 1
            later = expires
            if change.expires is not None:
                later = max(expires, min(change.expires, _FAR if absolute_expiry is None else absolute_expiry))
            sql('UPDATE "{t}" SET accessed = ?, version = ?, size = ? WHERE id = ?', max(accessed, now), version, size,
                session)
            # Columns with an index are left alone if they do not change.
            if change.lifetime:
                expires, end = change.lifetime
                sql('UPDATE "{t}" SET expires = ?, absolute_expiry = ? WHERE id = ?',
                    expires if end is None else min(expires, end), end, session)
            elif later != expires:
                sql('UPDATE "{t}" SET expires = ? WHERE id = ?', later, session)
            if change.owner:
                sql('UPDATE "{t}" SET owner = ? WHERE id = ?', change.owner[0], session)
            if change.rotation:
                sql.rotate(session, digest, change.rotation, now, change.remember)
            return 'committed', version
        return self._write(update)

    def destroy(self, digest: bytes, only: DestroyCondition, now: int, remember: int) -> bool:
        def destroy(sql: _Statements) -> bool:
            found = sql.row('SELECT id, expires, owner FROM "{t}" WHERE digest = ?', digest)
            if not found:
                return False
            session, expires, owner = found
            is_live = bool(expires > now)
            if only == 'expired' and is_live or isinstance(only, tuple) and not (is_live and owner == only[1]):
                return False
            sql.remove(session)
            if is_live:
                sql.remember(digest, now, remember)
            return is_live
        return self._write(destroy)

    def destroy_owned(self, owner: str, spared: bytes | None, now: int, remember: int) -> int:
        def owned(sql: _Statements) -> list[int]:
            rows = sql('SELECT id FROM "{t}" WHERE owner = ? AND expires > ?', owner, now).fetchall()
            kept = spared and sql.row(
                'SELECT id FROM "{t}" WHERE digest = ? UNION ALL SELECT session FROM "{t}_tombstone" '
                'WHERE digest = ? AND session IS NOT NULL AND until > ?', spared, spared, now)
            return [session for session, in rows if not kept or session != kept[0]]

        def end(sql: _Statements, sessions: list[int]) -> int:
            ended = 0
            for session in sessions:
                # A session keeps its number when its id is rotated.
                digest = sql.row('SELECT digest FROM "{t}" WHERE id = ? AND owner = ? AND expires > ?', session, owner, now)
                if digest:
                    sql.remove(session)
                    sql.remember(digest[0], now, remember)
                    ended += 1
            return ended

        sessions = self._read(lambda sql: sql.in_snapshot(owned))
        return sum(self._write(lambda sql, first=first: end(sql, sessions[first:first + _BATCH]))  # type: ignore[misc]
                   for first in range(0, len(sessions), _BATCH))

    def cleanup(self, now: int, limit: int) -> int:
        def clean(sql: _Statements, limit: int) -> int:
            expired = sql('SELECT id FROM "{t}" WHERE expires <= ? LIMIT ?', now, limit).fetchall()
            for session, in expired:
                sql.remove(session)
            forgotten = sql('DELETE FROM "{t}_tombstone" WHERE digest IN '
                            '(SELECT digest FROM "{t}_tombstone" WHERE forget <= ? LIMIT ?)', now, limit - len(expired))
            return len(expired) + forgotten.rowcount

        removed = 0
        while removed < limit:
            batch, started = min(_BATCH, limit - removed), time.monotonic()
            of_these = self._write(lambda sql: clean(sql, batch))
            removed += of_these
            if of_these < batch:
                break
            # At most half of the time, so that saves find the database free.
            time.sleep(time.monotonic() - started)
        return removed

    # Tables

    def create_tables(self) -> None:
        try:
            # Only this user may read it.
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            raise Unavailable(f'cannot create {self._path}: {error.strerror}') from None
        with self._failing(), self._alone() as sql:
            self._refuse_foreign(sql)
            layout = sql.layout()
            if layout > _LAYOUT:
                raise self._newer(layout)
            for number in range(layout + 1, _LAYOUT + 1):
                for statement in _statements(data(f'layout_{number}.sql').decode()):
                    sql(statement.replace('{table}', '{t}'))
            if layout < _LAYOUT:
                sql('CREATE TABLE IF NOT EXISTS "{t}_meta" (version INTEGER NOT NULL) STRICT')
                sql('DELETE FROM "{t}_meta"')
                sql('INSERT INTO "{t}_meta" VALUES (?)', _LAYOUT)

    def drop_tables(self) -> None:
        if not self._path.exists():
            return
        with self._failing(), self._alone() as sql:
            self._refuse_foreign(sql)
            for part in _PARTS:
                sql(f'DROP TABLE IF EXISTS "{{t}}{part}"')

    def tables_exist(self) -> bool:
        if not self._path.exists():
            return False
        with self._failing(), self._connection() as connection:
            layout = _Statements(connection, self._table).layout()
        if layout > _LAYOUT:
            raise self._newer(layout)
        return layout == _LAYOUT

    def close(self) -> None:
        if pool := self._pools.pop(os.getpid(), None):
            pool.close()

    # Connections

    def _read(self, read: 'Callable[[_Statements], T]') -> T:
        with self._failing(), self._pool().reader() as connection:
            return read(_Statements(connection, self._table))

    def _write(self, write: 'Callable[[_Statements], T]') -> T:
        with self._failing(), self._pool().writer() as connection:
            sql = _Statements(connection, self._table)
            sql('BEGIN IMMEDIATE')
            try:
                answer = write(sql)
                sql('COMMIT')
                return answer
            finally:
                if connection.in_transaction:
                    sql('ROLLBACK')

    def _pool(self) -> '_Pool':
        # SQLite's connections must not be used across a fork.
        process = os.getpid()
        return self._pools.get(process) or self._pools.setdefault(
            process, _Pool(self._path, self._connect, self._busy_timeout))

    def _connect(self) -> sqlite3.Connection:
        """A connection to tables of this layout."""
        if not self._path.exists():
            raise self._missing()
        connection = self._open()
        try:
            layout = _Statements(connection, self._table).layout()
            if layout > _LAYOUT:
                raise self._newer(layout)
            if layout < _LAYOUT:
                raise self._missing()
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self) -> sqlite3.Connection:
        # Never creates the file: create_tables does, for this user alone.
        connection = sqlite3.connect(f'{self._path.as_uri()}?mode=rw', uri=True, timeout=self._busy_timeout,
                                     isolation_level=None, check_same_thread=False)
        try:
            # Takes effect on a new file only.
            connection.execute('PRAGMA page_size = 2048')
            deadline = time.monotonic() + self._busy_timeout
            while True:
                try:
                    mode, = connection.execute('PRAGMA journal_mode = WAL').fetchone()
                    break
                except sqlite3.OperationalError:
                    # SQLite does not wait when another process turns it on at the same time.
                    if time.monotonic() >= deadline:
                        raise
                    time.sleep(0.001)
            if mode != 'wal':
                raise Unavailable(f'the file system of {self._path} does not support a write-ahead log')
            connection.execute(f'PRAGMA synchronous = {self._synchronous}')
            connection.execute('PRAGMA temp_store = MEMORY')
            connection.execute('PRAGMA journal_size_limit = 67108864')
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection to tables of any layout."""
        connection = self._open()
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _alone(self) -> 'Iterator[_Statements]':
        """A transaction on tables of any layout."""
        with self._connection() as connection:
            sql = _Statements(connection, self._table)
            sql('BEGIN IMMEDIATE')
            yield sql
            sql('COMMIT')

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Translates the errors of SQLite. Their texts name tables and columns, never their content."""
        try:
            yield
        except sqlite3.Error as error:
            text, file = str(error), self._path
            if text.startswith('no such table'):
                raise self._missing() from None
            if 'locked' in text or 'busy' in text:
                text = f'{file} is busy: other processes wrote to it for longer than busy_timeout'
            elif 'not a database' in text:
                text = f'{file} is not an SQLite database'
            elif 'readonly' in text:
                text = f'{file}, or its folder, cannot be written to'
            elif 'full' in text:
                text = f'there is no room for {file}: the disk is full'
            else:
                text = f'SQLite failed on {file}: {text}'
            raise Unavailable(text) from None

    def _missing(self) -> MissingTables:
        return MissingTables(f'the tables of {self._table} are not in {self._path}, or are older than this package: '
                             '`Sessions.manager().create_tables()` creates them, or brings them up to date')

    def _refuse_foreign(self, sql: '_Statements') -> None:
        """All tables are made in one transaction, so that one without the others is of another program."""
        if found := sql.foreign():
            raise Unavailable(f'{self._path} has a table {found} that another program made: there is no table {self._table}_meta '
                              'beside it. It is left as it is; give the sessions another table or another file')

    def _newer(self, layout: int) -> Unavailable:
        return Unavailable(f'the tables of {self._table} in {self._path} have the layout {layout}, which this version does '
                           'not know')


class _Pool:
    """The connections of this process. One at a time writes, so that threads wait for a lock and not in SQLite."""

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection], patience: float):
        self._path, self._connect, self._patience = path, connect, patience
        self._free: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self._opened: tuple[tuple[int, int], tuple[int, int] | None] | None = None

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        self._check()
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._connect()
            self._opened = self._opened or ((_identity(self._path) or (0, 0)), _identity(self._log()))
        is_whole = False
        try:
            yield connection
            is_whole = True
        finally:
            if is_whole and len(self._free) < _KEPT and not connection.in_transaction:
                self._free.append(connection)
            else:
                connection.close()

    @contextmanager
    def writer(self) -> Iterator[sqlite3.Connection]:
        if not self._writing.acquire(timeout=self._patience):
            raise Unavailable('too many saves wait for SQLite: the disk is too slow for them')
        try:
            with self.reader() as connection:
                yield connection
        finally:
            self._writing.release()

    def _log(self) -> Path:
        return self._path.with_name(self._path.name + '-wal')

    def _check(self) -> None:
        """Notices when the file was replaced by another one, such as a restored backup: open connections stay with the old
        file, and a new one would apply the old file's log to the new file."""
        if self._opened is None:
            return
        database, log = self._opened
        found = _identity(self._path)
        if found == database:
            return
        self.close()
        if found is None:
            raise Unavailable(f'{self._path} is gone: no session can be loaded or saved until it is there again')
        if log is not None and _identity(self._log()) == log:
            raise Unavailable(f'{self._path} was replaced by another file, beside the log of the old one: end all processes '
                              f'that use it, and move {self._log().name} away')
        self._opened = None

    def close(self) -> None:
        while self._free:
            self._free.pop().close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one at a time: executescript() would commit before them."""
    part = ''
    for line in script.splitlines():
        part += line + '\n'
        if sqlite3.complete_statement(part):
            yield part
            part = ''


def _size(write: Write) -> int:
    return 0 if write.value is None else len(write.name.encode()) + len(write.value)


class _Statements:
    """The statements on one table, on a connection."""

    def __init__(self, connection: sqlite3.Connection, table: str):
        self._connection, self._table = connection, table

    def __call__(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        bound = [min(argument, _FAR) if isinstance(argument, int) else argument for argument in arguments]
        return self._connection.execute(statement.replace('{t}', self._table), bound)

    def row(self, statement: str, *arguments: Any) -> Any:
        return self(statement, *arguments).fetchone()

    def one(self, statement: str, *arguments: Any) -> Any:
        return self.row(statement, *arguments)[0]

    def in_snapshot(self, read: 'Callable[[_Statements], T]') -> T:
        self('BEGIN')
        try:
            return read(self)
        finally:
            self('COMMIT')

    def layout(self) -> int:
        """The number of the tables' layout; 0 where there are none."""
        meta = f'{self._table}_meta'
        if not self.row("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE", meta):
            return 0
        version = self.row('SELECT version FROM "{t}_meta"')
        return int(version[0]) if version else 0

    def foreign(self) -> str | None:
        """A table with one of the names that is not of a layout."""
        names = [f'{self._table}{part}' for part in _PARTS]
        found = [name for name, in self(
            f'SELECT name FROM sqlite_schema WHERE name COLLATE NOCASE IN ({", ".join("?" * len(names))}) ORDER BY name', *names)]
        return None if any(name.lower().endswith('_meta') for name in found) else next(iter(found), None)

    def load(self, digest: bytes, app: str, now: int, inline_bytes: int) -> LoadOutcome:
        if found := self._load(digest, app, now, inline_bytes):
            return found
        return self.in_snapshot(lambda sql: sql._load_former(digest, app, now, inline_bytes))

    def _load(self, digest: bytes, app: str, now: int, inline_bytes: int) -> Found | Literal['expired'] | None:
        rows = self(
            f'SELECT {_RECORD}, v.name, v.bytes, CASE WHEN v.large IS NULL THEN v.value '
            'WHEN v.bytes <= ? OR v.app = \'\' THEN (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large) END, v.app = \'\' '
            'FROM "{t}" s LEFT JOIN "{t}_variable" v ON v.session = s.id AND v.app IN (\'\', ?) '
            'WHERE s.digest = ? ORDER BY v.app, v.name', inline_bytes, app, digest).fetchall()
        if not rows:
            return None
        record = Record(*rows[0][:8])
        if record.expires <= now:
            return 'expired'
        details: list[Variable] = []
        variables: list[Variable] = []
        for *_, name, size, value, is_detail in rows:
            # A session without details, and without variables of this application, has one row, without a name.
            if name is not None:
                (details if is_detail else variables).append(Variable(name, size if value is None else value))
        return Found(record, details, variables, None)

    def _load_former(self, digest: bytes, app: str, now: int, inline_bytes: int) -> LoadOutcome:
        former = self.former(digest, now)
        if former is None:
            # It may have been created meanwhile.
            return self._load(digest, app, now, inline_bytes) or 'absent'
        current, nonce = former
        found = current and self._load(current, app, now, inline_bytes)
        return found._replace(renewal=nonce) if isinstance(found, Found) else 'ended'

    def former(self, digest: bytes, now: int) -> tuple[bytes | None, bytes | None] | None:
        """A tombstone: the digest that it leads to within its grace, and the nonce."""
        found = self.row('SELECT session, until, nonce, forget FROM "{t}_tombstone" WHERE digest = ?', digest)
        if not found or found[3] <= now:
            return None
        session, until, nonce, _ = found
        if session is None or until is None or until <= now:
            return None, None
        current = self.row('SELECT digest FROM "{t}" WHERE id = ?', session)
        return (current[0], nonce) if current else (None, None)

    def old(self, session: int, write: Write) -> tuple[int, int | None] | None:
        """A variable as it is: the size of its value and, if that is long, the row it is in."""
        row: tuple[int, int | None] | None = self.row(
            'SELECT coalesce(bytes, length(value)), large FROM "{t}_variable" WHERE session = ? AND app = ? AND name = ?',
            session, write.app, write.name)
        return row

    def write(self, session: int | None, write: Write, old: tuple[int, int | None] | None) -> None:
        """Writes or removes one variable."""
        app, name, value = write
        large = old[1] if old else None
        if large is not None and (value is None or len(value) <= _INLINE):
            self('DELETE FROM "{t}_large" WHERE id = ?', large)
        if value is None:
            if old:
                self('DELETE FROM "{t}_variable" WHERE session = ? AND app = ? AND name = ?', session, app, name)
            return
        row: tuple[Any, ...] = (value, None, None)
        if len(value) > _INLINE:
            if large is None:
                large = self('INSERT INTO "{t}_large" (value) VALUES (?)', value).lastrowid
            else:
                self('UPDATE "{t}_large" SET value = ? WHERE id = ?', value, large)
            row = None, large, len(value)
        self('INSERT INTO "{t}_variable" (session, app, name, value, large, bytes) VALUES (?, ?, ?, ?, ?, ?) '
             'ON CONFLICT DO UPDATE SET value = excluded.value, large = excluded.large, bytes = excluded.bytes',
             session, app, name, *row)

    def is_no_former(self, digest: bytes, now: int) -> bool:
        """Whether a digest has no tombstone. One that has expired is removed."""
        if not self.row('SELECT 1 FROM "{t}_tombstone" WHERE digest = ?', digest):
            return True
        return self('DELETE FROM "{t}_tombstone" WHERE digest = ? AND forget <= ?', digest, now).rowcount > 0

    def is_free(self, digest: bytes, now: int) -> bool:
        return not self.row('SELECT 1 FROM "{t}" WHERE digest = ?', digest) and self.is_no_former(digest, now)

    def rotate(self, session: int, digest: bytes, rotation: Rotation, now: int, remember: int) -> None:
        """Gives a session its new digest, which is free."""
        self('UPDATE "{t}" SET digest = ?, rotated = ? WHERE id = ?', rotation.to, now, session)
        if rotation.grace is None:
            self._seal(session)
            self.remember(digest, now, remember)
        elif rotation.grace.until + remember > now:
            until, nonce = rotation.grace
            self._bury(digest, session, until, nonce, until + remember)

    def remember(self, digest: bytes, now: int, remember: int) -> None:
        """Leaves a tombstone."""
        if remember > 0:
            self._bury(digest, None, None, None, now + remember)

    def _bury(self, *tombstone: Any) -> None:
        self('INSERT INTO "{t}_tombstone" (digest, session, until, nonce, forget) VALUES (?, ?, ?, ?, ?)', *tombstone)

    def _seal(self, session: int) -> None:
        """Ends the graces of all digests that lead to a session."""
        self('UPDATE "{t}_tombstone" SET session = NULL WHERE session = ?', session)

    def remove(self, session: int) -> None:
        """Removes a session with its variables."""
        self('DELETE FROM "{t}_large" WHERE id IN '
             '(SELECT large FROM "{t}_variable" WHERE session = ? AND large IS NOT NULL)', session)
        self('DELETE FROM "{t}_variable" WHERE session = ?', session)
        self._seal(session)
        self('DELETE FROM "{t}" WHERE id = ?', session)
