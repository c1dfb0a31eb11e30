"""The storage contract, of each store in Python: what its methods answer, and that every race is decided once."""

import sqlite3
import tempfile
import unittest
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lemon_session_host.store import (
    Change, Found, Grace, Lifetime, Record, Rotation, Store, Unavailable, Variable, Write
)
from lemon_session_host.stores.sqlite import Sqlite

from .support import STORES

# In the past: Redis goes by its own clock if that is earlier.
NOW = 1_700_000_000
A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))


def record(owner: str | None = None, expires: int = NOW + 1000, absolute: int | None = None) -> Record:
    return Record(NOW, NOW, expires, absolute, NOW, owner, 9, 9)


def change(*writes: Write, clears: tuple[str, ...] = (), owner: tuple[str | None] | None = None,
           max_owned: int | None = None, expires: int | None = None,
           lifetime: Lifetime | None = None, rotation: Rotation | None = None, max_size: int = 10_000,
           remember: int = 100) -> Change:
    return Change(clears, writes, owner, max_owned, expires, lifetime, rotation, max_size, remember)


def on_stores(test: Callable[[Any, Store], None]) -> Callable[[Any], None]:
    """Runs a test once for each store that is written in Python."""
    def run(case: Any) -> None:
        for name in ('sqlite', 'redis'):
            with case.subTest(store=name), opened(name) as store:
                test(case, store)
    run.__name__ = test.__name__
    return run


@contextmanager
def opened(name: str) -> Iterator[Store]:
    with STORES[name]() as place:
        sessions = place.sessions()
        assert sessions._storage is not None
        try:
            yield sessions._storage._stores.at(None, None)
        finally:
            sessions.close()


class Contract(unittest.TestCase):
    def load(self, store: Store, digest: bytes, app: str = 'a', now: int = NOW, inline: int = 8192) -> Found:
        found = store.load(digest, app, now, inline)
        assert isinstance(found, Found), found
        return found

    @on_stores
    def test_a_session_is_loaded_as_it_was_created(self, store: Store) -> None:
        writes = [Write('a', 'z', b'1'), Write('a', 'é', b''), Write('b', 'x', b'x' * 500), Write('a', 'none', None)]
        self.assertTrue(store.create(A, record('ada', absolute=NOW + 5000), writes))
        found = self.load(store, A)
        size = 1 + 1 + 2 + 1 + 500
        self.assertEqual(found.record, Record(NOW, NOW, NOW + 1000, NOW + 5000, NOW, 'ada', 1, size))
        self.assertEqual((list(found.variables), found.renewal), ([Variable('z', b'1'), Variable('é', b'')], None))
        self.assertEqual(list(self.load(store, A, 'b').variables), [Variable('x', b'x' * 500)])
        self.assertEqual(list(self.load(store, A, 'b', inline=499).variables), [Variable('x', 500)])
        self.assertEqual([store.fetch(A, 'b', 'x', NOW), store.fetch(A, 'b', 'y', NOW), store.fetch(B, 'b', 'x', NOW)],
                         [b'x' * 500, None, None])
        self.assertEqual(store.load(B, 'a', NOW, 1), 'absent')
        self.assertEqual(list(self.load(store, A, 'c').variables), [])

    @on_stores
    def test_create_never_overwrites(self, store: Store) -> None:
        self.assertTrue(store.create(A, record(), [Write('a', 'x', b'1')]))
        self.assertFalse(store.create(A, record(), [Write('a', 'x', b'2')]))
        self.assertEqual(list(self.load(store, A).variables), [Variable('x', b'1')])
        self.assertTrue(store.destroy(A, 'any', NOW, 100))
        self.assertFalse(store.create(A, record(), []), 'it has a tombstone')
        self.assertTrue(store.create(A, record()._replace(accessed=NOW + 100), []), 'which has expired')

    @on_stores
    def test_an_update_applies_all_of_a_change(self, store: Store) -> None:
        store.create(A, record(), [Write('a', 'x', b'1'), Write('a', 'y', b'2' * 900), Write('b', 'z', b'3')])
        outcome = store.update(A, change(Write('a', 'x', b'4' * 700), Write('a', 'n', b'5'), Write('b', 'z', None),
                                         clears=('a',), owner=('ada',), expires=NOW + 2000), None, NOW + 5)
        self.assertEqual(outcome, ('committed', 2))
        found = self.load(store, A)
        self.assertEqual(list(found.variables), [Variable('n', b'5'), Variable('x', b'4' * 700)])
        self.assertEqual(found.record, Record(NOW, NOW + 5, NOW + 2000, None, NOW, 'ada', 2, 1 + 700 + 1 + 1))
        self.assertEqual(list(self.load(store, A, 'b').variables), [])
        self.assertEqual(store.update(A, change(expires=NOW + 10), None, NOW + 1), ('committed', 2))
        record_now = self.load(store, A).record
        self.assertEqual((record_now.expires, record_now.accessed), (NOW + 2000, NOW + 5), 'neither is moved back')
        self.assertEqual(store.update(A, change(owner=(None,)), None, NOW), ('committed', 3))
        self.assertEqual(self.load(store, A).record.owner, None)

    @on_stores
    def test_an_update_is_refused_whole(self, store: Store) -> None:
        store.create(A, record(), [Write('a', 'x', b'1')])
        for refused, given in (
            (('conflict', 1), (change(Write('a', 'x', b'2')), 7)),
            (('too-large', 12), (change(Write('a', 'y', b'2' * 9), max_size=11), None)),
        ):
            self.assertEqual(store.update(A, *given, NOW), refused)
        self.assertEqual(store.update(A, change(Write('a', 'x', b'2')), None, NOW + 1000), 'gone')
        self.assertEqual(store.update(B, change(Write('a', 'x', b'2')), None, NOW), 'gone')
        self.assertEqual(list(self.load(store, A).variables), [Variable('x', b'1')])
        self.assertEqual(store.load(B, 'a', NOW, 1), 'absent')
        self.assertEqual(store.update(A, change(Write('a', 'x', b''), max_size=0), 1, NOW), ('committed', 2), 'it shrinks')

    @on_stores
    def test_an_owner_has_at_most_as_many_live_sessions_as_a_change_allows(self, store: Store) -> None:
        c, d = C, bytes([4] * 32)
        for digest in (A, B, c):
            store.create(digest, record(), [])
        store.create(d, record()._replace(expires=NOW, owner='ada'), [])
        login = change(Write('a', 'x', b'1'), owner=('ada',), max_owned=2)
        for digest in (A, B):
            self.assertEqual(store.update(digest, login, None, NOW), ('committed', 2), 'one that has expired does not count')
        self.assertEqual(store.update(c, login, None, NOW), ('too-many-owned', 2))
        self.assertEqual(self.load(store, c).record, record()._replace(version=1, size=0))
        self.assertEqual(store.update(c, login._replace(owner=(None,)), None, NOW), ('committed', 2), 'no owner has no limit')
        self.assertEqual(store.update(A, login._replace(max_owned=1), None, NOW), ('committed', 3), 'it is the owner’s already')
        self.assertEqual(store.update(c, login._replace(max_owned=3), 1, NOW), ('conflict', 2))
        self.assertEqual(store.update(c, login._replace(max_owned=3), 2, NOW), ('committed', 3))

    @on_stores
    def test_the_expiry_never_passes_the_absolute_one(self, store: Store) -> None:
        store.create(A, record(absolute=NOW + 1500), [])
        store.update(A, change(expires=NOW + 9000), None, NOW)
        self.assertEqual(self.load(store, A).record.expires, NOW + 1500)

    @on_stores
    def test_details_are_loaded_whole_beside_the_variables_of_any_application(self, store: Store) -> None:
        writes = [Write('', 'z', b'1' * 900), Write('', 'é', b'2'), Write('a', 'x', b'3' * 900)]
        store.create(A, record(), writes)
        details = [Variable('z', b'1' * 900), Variable('é', b'2')]
        for app, variables in (('a', [Variable('x', 900)]), ('b', []), ('', [])):
            found = self.load(store, A, app, inline=100)
            self.assertEqual((list(found.details), list(found.variables)), (details, variables), app)
        self.assertEqual(store.update(A, change(Write('', 'z', None), clears=('a',)), None, NOW), ('committed', 2))
        found = self.load(store, A)
        self.assertEqual((list(found.details), found.record.size), ([Variable('é', b'2')], 3))

    @on_stores
    def test_a_lifetime_ends_earlier_or_later(self, store: Store) -> None:
        store.create(A, record(absolute=NOW + 5000), [])
        for given, expires, absolute in ((Lifetime(NOW + 10, None), NOW + 10, None),
                                         (Lifetime(NOW + 90, NOW + 50), NOW + 50, NOW + 50),
                                         (Lifetime(NOW + 20, NOW + 50), NOW + 20, NOW + 50)):
            outcome = store.update(A, change(expires=NOW + 9000, lifetime=given), None, NOW)
            found = self.load(store, A).record
            self.assertEqual((outcome, found.expires, found.absolute_expiry),
                             (('committed', found.version), expires, absolute))
        self.assertEqual(found.version, 4)
        self.assertEqual(store.load(A, 'a', NOW + 20, 0), 'expired')

    @on_stores
    def test_a_rotation_without_grace_ends_the_old_digest(self, store: Store) -> None:
        store.create(A, record('ada'), [Write('a', 'x', b'1')])
        self.assertEqual(store.update(A, change(rotation=Rotation(B, None)), None, NOW + 1), ('committed', 1))
        self.assertEqual([store.load(A, 'a', NOW, 1), store.update(A, change(), None, NOW), store.fetch(A, 'a', 'x', NOW)],
                         ['ended', 'gone', None])
        found = self.load(store, B)
        self.assertEqual((list(found.variables), found.record.rotated), ([Variable('x', b'1')], NOW + 1))
        self.assertEqual([listed.digest for listed in store.list(NOW, 'ada', None, 9)], [B])
        self.assertEqual(store.load(A, 'a', NOW + 101, 1), 'absent', 'the tombstone has expired')

    @on_stores
    def test_a_former_digest_leads_to_its_session_while_its_grace_lasts(self, store: Store) -> None:
        store.create(A, record('ada'), [Write('a', 'x', b'1' * 500)])
        store.update(A, change(rotation=Rotation(B, Grace(NOW + 60, b'nonce'))), None, NOW)
        store.update(B, change(rotation=Rotation(C, Grace(NOW + 60, b'other'))), None, NOW)
        found = self.load(store, A)
        self.assertEqual((found.renewal, list(found.variables)), (b'nonce', [Variable('x', b'1' * 500)]))
        self.assertEqual(store.fetch(A, 'a', 'x', NOW), b'1' * 500)
        self.assertEqual(store.update(A, change(), None, NOW), 'gone', 'an update does not follow it')
        self.assertFalse(store.destroy(A, 'any', NOW, 100))
        self.assertEqual(store.destroy_owned('ada', A, NOW, 100), 0, 'it spares its session')
        self.assertEqual(store.load(A, 'a', NOW + 60, 1), 'ended')
        store.destroy(C, 'any', NOW, 100)
        self.assertEqual([store.load(digest, 'a', NOW, 1) for digest in (A, B, C)], ['ended'] * 3)

    @on_stores
    def test_a_rotation_to_a_digest_that_is_taken_fails_and_writes_nothing(self, store: Store) -> None:
        store.create(A, record(), [])
        store.create(B, record(), [])
        for taken in (A, B):
            with self.assertRaises(Unavailable):
                store.update(A, change(Write('a', 'x', b'1'), rotation=Rotation(taken, None)), None, NOW)
        self.assertEqual(list(self.load(store, A).variables), [])

    @on_stores
    def test_destroy_has_conditions(self, store: Store) -> None:
        store.create(A, record('ada'), [])
        self.assertFalse(store.destroy(A, 'expired', NOW, 100))
        self.assertFalse(store.destroy(A, ('owned', 'bob'), NOW, 100))
        self.assertTrue(store.destroy(A, ('owned', 'ada'), NOW, 100))
        self.assertFalse(store.destroy(A, 'any', NOW, 100))
        store.create(B, record(), [])
        self.assertFalse(store.destroy(B, 'expired', NOW + 1000, 100))
        self.assertEqual(store.load(B, 'a', NOW, 1), 'absent', 'it left no tombstone')

    @on_stores
    def test_an_expired_session_is_told_from_an_absent_one_and_removed(self, store: Store) -> None:
        store.create(A, record(), [Write('a', 'x', b'1' * 500)])
        self.assertEqual(store.load(A, 'a', NOW + 1000, 1), 'expired')
        self.assertEqual((store.count(NOW), store.count(NOW + 1000)), (1, 0))
        store.cleanup(NOW + 1000, 100)
        self.assertEqual(store.cleanup(NOW + 1000, 100), 0)

    @on_stores
    def test_an_owner_s_sessions_are_ended_but_the_spared_one(self, store: Store) -> None:
        for number in range(1, 150):
            store.create(bytes([number]) * 32, record('ada'), [])
        store.create(bytes([200]) * 32, record('bob'), [])
        self.assertEqual(store.destroy_owned('ada', A, NOW, 100), 148)
        self.assertEqual([listed.digest for listed in store.list(NOW, None, None, 999)], [A, bytes([200]) * 32])
        self.assertEqual(store.destroy_owned('ada', None, NOW, 100), 1)

    @on_stores
    def test_a_list_is_in_the_order_of_digests_and_has_pages(self, store: Store) -> None:
        digests = [bytes([number]) * 32 for number in (5, 1, 3, 2, 4)]
        for digest in digests:
            store.create(digest, record('ada' if digest[0] % 2 else 'bob'), [])
        self.assertEqual([listed.digest[0] for listed in store.list(NOW, None, None, 3)], [1, 2, 3])
        self.assertEqual([listed.digest[0] for listed in store.list(NOW, None, bytes([3]) * 32, 3)], [4, 5])
        self.assertEqual([listed.digest[0] for listed in store.list(NOW, 'ada', bytes([1]) * 32, 1)], [3])
        self.assertEqual(store.list(NOW + 1000, None, None, 3), [])

    @on_stores
    def test_of_parallel_creates_rotations_and_destroys_one_wins(self, store: Store) -> None:
        with ThreadPoolExecutor(8) as threads:
            self.assertEqual(sum(threads.map(lambda n: store.create(A, record(), [Write('a', 'n', b'%d' % n)]), range(8))), 1)

            def rotate(number: int) -> object:
                return store.update(A, change(rotation=Rotation(bytes([100 + number]) * 32, None)), None, NOW)
            outcomes = list(threads.map(rotate, range(8)))
            self.assertEqual(sorted(map(str, outcomes)), sorted([str(('committed', 1))] + ['gone'] * 7))
            current = store.list(NOW, None, None, 9)[0].digest
            self.assertEqual(sum(threads.map(lambda _: store.destroy(current, 'any', NOW, 100), range(8))), 1)

    @on_stores
    def test_times_beyond_what_a_store_can_hold_are_far_away(self, store: Store) -> None:
        far = 2**64 - 1
        store.create(A, Record(NOW, NOW, far, far, NOW, None, 1, 0), [])
        self.assertGreater(self.load(store, A).record.expires, NOW + 10**9)
        self.assertEqual(store.update(A, change(expires=far), None, NOW), ('committed', 1))

    def test_a_table_of_another_program_is_named_and_left_as_it_is(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, 'shop.db')
            with closing(sqlite3.connect(path)) as shop:
                shop.execute('CREATE TABLE session (customer TEXT)')
                store = Sqlite(path, 'Session')
                for call in (store.create_tables, store.drop_tables):
                    with self.assertRaisesRegex(Unavailable, 'has a table session that another program made: there is no table '
                                                             'Session_meta beside it'):
                        call()
                self.assertEqual(shop.execute('SELECT name FROM sqlite_schema').fetchall(), [('session',)])
                store.close()


if __name__ == '__main__':
    unittest.main()
