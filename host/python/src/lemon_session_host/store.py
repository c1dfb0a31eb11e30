"""What a store of sessions in Python promises: the interface `lemon:session/storage`, which wit/storage.wit explains.

A store knows nothing of the rules of sessions; it guarantees atomicity. Each method takes effect completely or not at all,
whatever other callers do meanwhile. A lost race is an answer. An exception means that the call could not be completed: the
session component gets the WIT's `failure`, and the application gets an error, never a fresh empty session.

A session is known by its digest, 32 bytes. Values are bytes that a store never interprets. Times are in seconds since 1970.
`now` is the caller's time, and a session is live while `now < expires`. Methods are called by many threads at once, and
after a fork in each process: what is opened has to be opened when it is first used there.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, NamedTuple


class MissingTables(Exception):
    """The tables do not exist."""


class Unavailable(Exception):
    """The store cannot be reached, is too busy, is full, or is broken. The text is for the operator's log and contains no
    digest, value or password."""


class Record(NamedTuple):
    """The data of a session apart from its variables."""

    created: int
    accessed: int
    expires: int
    absolute_expiry: int | None
    rotated: int
    owner: str | None
    version: int
    size: int


class Write(NamedTuple):
    """A variable to write. A value of None removes it."""

    app: str
    name: str
    value: bytes | None


class Variable(NamedTuple):
    """One variable as `load` returns it: with its value, or with the size of a value that is longer than `inline_bytes`."""

    name: str
    value: bytes | int


class Found(NamedTuple):
    """A live session, with its details and the variables of one application, both sorted by name.

    The details are what the session component itself keeps of a session: the variables of the application with the empty
    name, always with their values. `variables` has none of them. `renewal` is set if the digest is a former one within its
    grace period: the nonce of its rotation."""

    record: Record
    details: Sequence[Variable]
    variables: Sequence[Variable]
    renewal: bytes | None


class Grace(NamedTuple):
    """The grace period of a former digest: until when, and the nonce that `load` returns as `renewal`."""

    until: int
    nonce: bytes


class Rotation(NamedTuple):
    """An id rotation: the new digest, and the grace period of the old one. None: it ends at once."""

    to: bytes
    grace: Grace | None


class Lifetime(NamedTuple):
    """When a session expires, earlier or later than before. The absolute expiry replaces a later expiry."""

    expires: int
    absolute_expiry: int | None


class Change(NamedTuple):
    """The changes of an update, applied in the order of the fields."""

    clears: Sequence[str]
    """Applications that lose all their variables."""
    writes: Sequence[Write]
    """Variables to write, each once."""
    owner: tuple[str | None] | None
    """The new owner, if it changes."""
    max_owned: int | None
    """The most live sessions that a new owner may have after the change, this one included. A change beyond is refused as
    `too-many-owned`, with the number of the others: counting and writing are one step. Ignored if the session is the owner's
    already, or gets no owner."""
    expires: int | None
    """The new expiry after a use. It is only moved to a later time, and never past `absolute_expiry`. Ignored beside a
    `lifetime`."""
    lifetime: Lifetime | None
    """The new lifetime, if it changes."""
    rotation: Rotation | None
    """The id rotation, if there is one."""
    max_size: int
    """The largest size of the session. A change that makes it grow beyond is refused."""
    remember: int
    """How long the tombstone of a digest that the change ends is kept, in seconds."""


class Listed(NamedTuple):
    """A live session as `list` returns it."""

    digest: bytes
    record: Record


LoadOutcome = Found | Literal['absent', 'expired', 'ended']
UpdateOutcome = tuple[Literal['committed', 'conflict', 'too-large', 'too-many-owned'], int] | Literal['gone']
DestroyCondition = Literal['any', 'expired'] | tuple[Literal['owned'], str]


class Store(ABC):
    """A store. One object may be used by many threads at once."""

    @abstractmethod
    def summary(self) -> str:
        """What and where it is, without a password: `SQLite in sessions.db`."""

    @abstractmethod
    def load(self, digest: bytes, app: str, now: int, inline_bytes: int) -> LoadOutcome:
        """Returns the session of a digest with its details and the variables of one application. A former digest within its grace period
        leads to its session. Every `ended` is counted before it is returned."""

    @abstractmethod
    def fetch(self, digest: bytes, app: str, name: str, now: int) -> bytes | None:
        """Returns the value of one variable of a live session, if there is one. Follows a former digest as `load` does."""

    @abstractmethod
    def create(self, digest: bytes, record: Record, writes: Sequence[Write]) -> bool:
        """Stores a new session, with version 1 and the size of `writes`. Never overwrites: returns False if the digest is
        that of a session, of a former digest, or of a tombstone that has not expired at the record's `accessed`."""

    @abstractmethod
    def update(self, digest: bytes, change: Change, expected: int | None, now: int) -> UpdateOutcome:
        """Applies a change to a live session, all of it or nothing: never brings a session back, and does not follow a
        former digest. Raises if the new digest of a rotation is taken."""

    @abstractmethod
    def destroy(self, digest: bytes, only: DestroyCondition, now: int, remember: int) -> bool:
        """Ends a session that meets a condition, and leaves a tombstone. Returns whether a live session was ended."""

    @abstractmethod
    def destroy_owned(self, owner: str, spared: bytes | None, now: int, remember: int) -> int:
        """Ends all live sessions of an owner but the one that the digest `spared` leads to. Returns how many."""

    @abstractmethod
    def cleanup(self, now: int, limit: int) -> int:
        """Removes at most `limit` expired sessions and tombstones, and returns how many: fewer if all are removed."""

    @abstractmethod
    def count(self, now: int) -> int:
        """Returns the number of live sessions."""

    @abstractmethod
    def list(self, now: int, owner: str | None, after: bytes | None, limit: int) -> Sequence[Listed]:
        """Lists live sessions in the order of their digests, at most `limit` of those after the digest `after`."""

    @abstractmethod
    def create_tables(self) -> None:
        """Creates the tables, or upgrades those of an older version."""

    @abstractmethod
    def drop_tables(self) -> None:
        """Removes the tables with all sessions."""

    @abstractmethod
    def tables_exist(self) -> bool:
        """Whether the tables exist."""

    def close(self) -> None:
        """Closes what is open. The next call opens it again."""
