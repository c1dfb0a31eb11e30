"""What a session promises, on every store."""

import gc
import signal
import subprocess
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

from lemon_session_host import (
    Conflict, CrossSite, Denied, Error, Failed, Gone, InvalidName, InvalidOption, InvalidValue, Reserved, Sessions, Settings, Storage,
    TooLarge, TooMany
)
from lemon_session_host.stores.sqlite import Sqlite

from .support import Place, cookie_of, on_every_store, sqlite, visitor


class EveryStore(unittest.TestCase):
    @on_every_store
    def test_a_visitor_finds_the_session_again_until_it_is_destroyed(self, place: Place) -> None:
        sessions = place.sessions()
        with sessions.start({}) as session:
            self.assertTrue(session.created())
            session['variable1'] = 'Python Rules!'
        cookie = cookie_of(session.headers)
        with sessions.start(visitor(cookie)) as session:
            self.assertFalse(session.created())
            self.assertEqual(session['variable1'], 'Python Rules!')
            self.assertEqual(cookie_of(session.destroy()), '')
        with sessions.start(visitor(cookie)) as session:
            self.assertTrue(session.created())
            self.assertNotIn('variable1', session)

    @on_every_store
    def test_every_value_comes_back_as_it_was(self, place: Place) -> None:
        plain = {
            'null': None, 'true': True, 'one': 1, 'least': -2**63, 'most': 2**63 - 1, 'real': 1.0, 'inf': float('-inf'),
            'text': '€ \U0001f600 \0 "', 'empty': '', 'bytes': bytes(range(256)) * 50, 'none': b'',
            'list': [1, 1.0, None, 'é', [[False]]], 'dict': {'a': {'b': [2.5, -9007199254740993]}, '': []},
            'long': 'x' * 20_000,
        }
        sessions = place.sessions()
        with sessions.start({}) as session:
            session.update(plain)
        cookie = cookie_of(session.headers)
        with sessions.start(visitor(cookie)) as session:
            self.assertEqual(dict(session), plain)
            self.assertEqual([type(value) for value in session.values()],
                             [type(value) for _, value in sorted(plain.items())])
            self.assertEqual(session.entries(), sorted(plain.items()))
            del session['long']
            session['bytes'] = b'short'
        with sessions.start(visitor(cookie)) as session:
            self.assertEqual((session['bytes'], 'long' in session), (b'short', False))

    @on_every_store
    def test_messages_tokens_and_other_sessions_of_an_owner(self, place: Place) -> None:
        sessions = place.sessions()
        with sessions.start({}) as session:
            self.assertEqual((session.modified(), session.accessed()), (False, False))
            self.assertEqual((session.setdefault('a', 1), session.setdefault('a', 2)), (1, 1))
            session.flash('saved')
            session.flash({'level': 'error'})
            session.set_owner('ann')
            self.assertEqual((session.modified(), session.accessed(), list(session)), (True, True, ['a']))
            token, digest = session.csrf_token(), session.digest()
        cookie = cookie_of(session.headers)
        with sessions.start(visitor(cookie)) as session:
            self.assertEqual(session.flashes(), ['saved', {'level': 'error'}])
            self.assertEqual(session.flashes(), [])
            post = {'REQUEST_METHOD': 'POST', 'HTTP_HOST': 'a'}
            session.check_csrf(post, token)
            session.check_csrf({**post, 'HTTP_SEC_FETCH_SITE': 'same-origin'})
            for request, given in ((post, None), (post, 'x'), (post, '\u00e9'),
                                   ({**post, 'HTTP_ORIGIN': 'https://evil.example'}, token)):
                self.assertRaises(CrossSite, session.check_csrf, request, given)
        with sessions.start(visitor(cookie)) as session:
            self.assertEqual(session.flashes(), [])
        with sessions.start({}) as other:
            other.set_owner('ann')
            self.assertEqual(other.entries_of(digest), [('a', 1)])
            self.assertRaises(InvalidName, other.entries_of, 'none')

    @on_every_store
    def test_fifty_parallel_requests_keep_fifty_variables(self, place: Place) -> None:
        sessions = place.sessions()
        with sessions.start({}) as session:
            pass
        cookie = cookie_of(session.headers)
        ready = threading.Barrier(10)

        def request(number: int) -> None:
            if number < 10:
                ready.wait(30)
            with sessions.start(visitor(cookie)) as session:
                session[f'v{number}'] = number
                session.add('count')

        with ThreadPoolExecutor(10) as threads:
            list(threads.map(request, range(50)))
        with sessions.start(visitor(cookie)) as session:
            self.assertEqual(session.pop('count'), 50)
            self.assertEqual(dict(session), {f'v{number}': number for number in range(50)})
        self.assertLessEqual(len(sessions._pool), 10)

    @on_every_store
    def test_a_save_in_flight_at_a_logout_is_refused(self, place: Place) -> None:
        sessions = place.sessions()
        with sessions.start({}) as session:
            session['user'] = 'ada'
        cookie = cookie_of(session.headers)
        in_flight = sessions.start(visitor(cookie))
        in_flight['late'] = True
        with sessions.start(visitor(cookie)) as session:
            session.destroy()
        self.assertRaises(Gone, in_flight.save)
        with sessions.start(visitor(cookie)) as session:
            self.assertTrue(session.created())

    @on_every_store
    def test_an_id_from_before_the_login_is_dead(self, place: Place) -> None:
        sessions = place.sessions()
        with sessions.start({}) as session:
            session['kept'] = 'x' * 1000
        before = cookie_of(session.headers)
        with sessions.start(visitor(before)) as session:
            session.regenerate_id()
            session.set_owner('ada')
        after = cookie_of(session.headers)
        with sessions.start(visitor(before)) as session:
            self.assertTrue(session.created())
        with sessions.start(visitor(after)) as session:
            self.assertEqual((session.owner(), session['kept']), ('ada', 'x' * 1000))

    @on_every_store
    def test_a_login_is_stored_with_its_lifetime_and_told_to_its_owner(self, place: Place) -> None:
        sessions = place.sessions()
        with sessions.start({}) as session:
            session.authenticate('ada', 'password')
            session.remember(100_000)
            session.set_label('phone')
        # The idle time and its slice, and a second where the clock is between two.
        self.assertRegex(dict(session.headers)['set-cookie'], '; Max-Age=10500[01]$')
        with sessions.start(visitor(cookie_of(session.headers))) as session:
            self.assertTrue(session.fresh_within(60))
            metadata, digest, manager = session.metadata(), session.digest(), sessions.manager()
            self.assertEqual((metadata.method, metadata.label), ('password', 'phone'))
            entry = manager.get(digest, 'ada')
            assert entry is not None
            self.assertEqual((entry.label, entry.authenticated_at), ('phone', metadata.authenticated_at))
            self.assertEqual([entry.label for entry in manager.list('ada')], ['phone'])
            self.assertIsNone(manager.get(digest, 'bob'))
            session.set_lifetime(expires=60, cookie=0)
            for wrong in (None, -1, 2**32, '60', True):
                with self.assertRaises(InvalidOption):
                    session.remember(wrong)  # type: ignore[arg-type]
        self.assertNotIn('Max-Age', dict(session.headers)['set-cookie'])

    def test_where_a_session_began_and_where_its_owner_logged_in_is_kept_if_the_site_wants_it(self) -> None:
        settings = Settings(app='test', client_address='network', client_user_agent=6)
        wsgi = {'REMOTE_ADDR': '192.0.2.77', 'HTTP_USER_AGENT': 'lynx/2.9'}
        asgi = {'type': 'http', 'client': ('2001:db8::77', 1234), 'headers': [(b'user-agent', b'w3m')]}
        with sqlite() as place:
            sessions = place.sessions(settings)
            with sessions.start(wsgi) as session:
                session['a'] = 1
            cookie = cookie_of(session.headers)
            with sessions.start({**asgi, 'headers': [*asgi['headers'], (b'cookie', cookie.encode())]}) as session:
                self.assertEqual(session.metadata()[-2:], ('192.0.2.0/24', 'lynx/2'))
                session.authenticate('ada', 'password')
                self.assertEqual(session.metadata()[-2:], ('2001:db8::/48', 'w3m'))
            [entry] = sessions.manager().list('ada')
            self.assertEqual((entry.address, entry.user_agent), ('2001:db8::/48', 'w3m'))
            with sessions.start({'type': 'http', 'client': None, 'headers': []}) as session:
                self.assertEqual(session.metadata()[-2:], (None, None))

    @on_every_store
    def test_an_owner_has_at_most_max_sessions_also_if_logins_meet(self, place: Place) -> None:
        for reached, logged_in in (('end-oldest', 6), ('refuse', 2)):
            sessions = place.sessions(Settings(app='test', max_sessions=2, max_sessions_reached=reached))  # type: ignore[arg-type]
            owner = f'ada {reached}'

            def log_in(number: int) -> bool:
                session = sessions.start({})
                session.authenticate(owner, 'password')
                session['right'] = number
                try:
                    session.save()
                    return True
                except TooMany as error:
                    self.assertIn('max-sessions', str(error))
                    self.assertEqual((session.owner(), 'right' in session), (None, False))
                    session['message'] = 'too many'
                    session.save()
                    return False

            with ThreadPoolExecutor(6) as pool:
                self.assertEqual(sum(pool.map(log_in, range(6))), logged_in)
            self.assertEqual(len(list(sessions.manager().list(owner))), 2)

    @on_every_store
    def test_an_id_that_is_renewed_still_leads_to_the_session(self, place: Place) -> None:
        sessions = place.sessions(Settings(app='test', renew_after=1, renew_grace=1))
        with sessions.start({}) as session:
            session['n'] = 0
        old = cookie_of(session.headers)
        for _ in range(100):
            with sessions.start(visitor(old)) as session:
                session.add('n')
            if any(name == 'set-cookie' for name, _ in session.headers):
                break
            threading.Event().wait(0.05)
        renewed = cookie_of(session.headers)
        self.assertNotEqual(renewed, old)
        with sessions.start(visitor(renewed)) as session:
            self.assertFalse(session.created())

    @on_every_store
    def test_an_owner_s_sessions_are_listed_and_ended(self, place: Place) -> None:
        sessions = place.sessions()
        cookies = []
        for owner in ['ada', 'ada', 'ada', 'bob']:
            with sessions.start({}) as session:
                session.set_owner(owner)
            cookies.append(cookie_of(session.headers))
        manager = sessions.manager()
        digests = [entry.digest for entry in manager.list('ada')]
        self.assertEqual((len(digests), manager.count()), (3, 4))
        self.assertEqual(digests, sorted(digests))
        self.assertEqual([entry.owner for entry in manager.list()].count('ada'), 3)
        with sessions.start(visitor(cookies[0])) as session:
            self.assertEqual(session.destroy_others(), 2)
        self.assertEqual([entry.digest for entry in manager.list('ada')], [session_digest(sessions, cookies[0])])
        self.assertFalse(manager.destroy(session_digest(sessions, cookies[3]), 'ada'))
        self.assertEqual(manager.destroy_owned('bob'), 1)
        self.assertEqual(manager.count(), 1)
        self.assertEqual(manager.cleanup(), 0)

    @on_every_store
    def test_of_two_strict_saves_the_second_conflicts(self, place: Place) -> None:
        sessions = place.sessions()
        with sessions.start({}) as session:
            session['n'] = 1
        cookie = cookie_of(session.headers)
        first, second = (sessions.start(visitor(cookie), strict=True) for _ in range(2))
        first['n'], second['n'] = 2, 3
        first.save()
        self.assertRaises(Conflict, second.save)

    @on_every_store
    def test_two_processes_share_one_store(self, place: Place) -> None:
        sessions = place.sessions()
        with sessions.start({}) as session:
            session['here'] = 1
        id = cookie_of(session.headers)
        place.run(f"with sessions.start({visitor(id)!r}) as session: session['there'] = session['here'] + 1")
        with sessions.start(visitor(id)) as session:
            self.assertEqual(dict(session), {'here': 1, 'there': 2})

    @on_every_store
    def test_kill_9_loses_no_answered_save(self, place: Place) -> None:
        sessions = place.sessions()
        with sessions.start({}) as session:
            session['n'] = 0
        cookie = cookie_of(session.headers)
        process = subprocess.Popen(place.program(
            f"while True:\n"
            f"    with sessions.start({visitor(cookie)!r}) as session: n = session.add('n')\n"
            f"    print(n, flush=True)\n"), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        answered = 0
        for line in process.stdout:
            answered = int(line)
            if answered == 20:
                process.send_signal(signal.SIGKILL)
        process.wait()
        with sessions.start(visitor(cookie)) as session:
            # One more may have been saved and not answered.
            self.assertIn(session['n'], (answered, answered + 1))
            session['after'] = True

    @on_every_store
    def test_a_forked_child_has_instances_and_connections_of_its_own(self, place: Place) -> None:
        # In a process of its own: this one has threads.
        if place.url.startswith('files:'):
            out = place.run(
                "child = os.fork()\n"
                "if child == 0:\n"
                "    with sessions.start({}) as session: session['n'] = 0\n"
                "    os._exit(0)\n"
                "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sessions.manager().count())\n"
                "if os.fork() == 0:\n"
                "    try: sessions.start({})\n"
                "    except Failed as error: print('before the fork' in str(error), flush=True)\n"
                "    os._exit(0)\n"
                "os.wait()\n")
            self.assertEqual(out, '0 1\nTrue\n')
            return
        out = place.run(
            "with sessions.start({}) as session: session['n'] = 0\n"
            "cookie = {'HTTP_COOKIE': dict(session.headers)['set-cookie'].split(';')[0]}\n"
            "held = sessions.start(cookie)\n"
            "children = []\n"
            "for _ in range(3):\n"
            "    child = os.fork()\n"
            "    if child == 0:\n"
            "        for _ in range(10):\n"
            "            with sessions.start(cookie) as session: session.add('n')\n"
            "        try: held['x'] = 1\n"
            "        except Failed: os._exit(0)\n"
            "        os._exit(1)\n"
            "    children.append(child)\n"
            "ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]\n"
            "held.close()\n"
            "with sessions.start(cookie) as session: print(ended, session['n'])\n")
        self.assertEqual(out, '[0, 0, 0] 30\n')

    @on_every_store
    def test_tables_are_created_dropped_and_missed(self, place: Place) -> None:
        sessions = place.sessions(create_tables=False)
        manager = sessions.manager()
        self.assertFalse(manager.tables_exist())
        with self.assertRaises(Storage) as raised, self.assertLogs('lemon_session_host'):
            sessions.start({}).save()
        self.assertIn('tables', str(raised.exception))
        manager.create_tables()
        manager.create_tables()
        self.assertTrue(manager.tables_exist())
        with sessions.start({}) as session:
            session['n'] = 1
        manager.drop_tables()
        self.assertFalse(manager.tables_exist())


def session_digest(sessions: Sessions, cookie: str) -> str:
    return sessions.start(visitor(cookie)).digest()


class Dictionary(unittest.TestCase):
    """The methods of a session, and what they refuse."""

    def setUp(self) -> None:
        self.place = self.enterContext(sqlite()) if hasattr(self, 'enterContext') else self._enter()
        self.sessions = self.place.sessions()

    def _enter(self) -> Place:
        context = sqlite()
        self.addCleanup(context.__exit__, None, None, None)
        return context.__enter__()

    def test_it_is_a_dictionary(self) -> None:
        session = self.sessions.start({})
        session['a'] = 1
        session['b'] = [1, {'c': None}]
        self.assertEqual((len(session), list(session), 'a' in session, 'x' in session, 1 in session),
                         (2, ['a', 'b'], True, False, False))
        self.assertEqual((session.get('x'), session.get('x', 'none'), session.setdefault('a', 5)), (None, 'none', 1))
        self.assertEqual((session.add('a', 41), session.add('n')), (42, 1))
        self.assertEqual((session.take('b'), session.take('b', 'taken'), session.pop('a')), ([1, {'c': None}], 'taken', 42))
        for call in (lambda: session['x'], lambda: session.pop('x'), lambda: session.__delitem__('x')):
            self.assertRaises(KeyError, call)
        session.clear()
        self.assertEqual(dict(session), {})
        self.assertTrue(session)

    def test_what_would_not_come_back_as_it_is_is_refused(self) -> None:
        session = self.sessions.start({})
        itself: list[object] = []
        itself.append(itself)
        for value in ((1,), {1}, object(), bytearray(), 2**63, '\ud800', [b''], [float('nan')], {1: 2}, itself):
            with self.assertRaises(InvalidValue):
                session['x'] = value
        for key in ('', 'k' * 33, 'a\n', '\ud800', 1):
            with self.assertRaises(InvalidName):
                session[key] = 1  # type: ignore[index]
        for value in (1.5, True, 'a'):
            with self.assertRaises(InvalidValue):
                session.add('n', value)  # type: ignore[arg-type]
        self.assertRaises(TooLarge, session.set, 'x', 'x' * 2_000_000)
        self.assertEqual(dict(session), {})

    def test_options_that_are_impossible_are_refused(self) -> None:
        for options in ({'expires': -1}, {'expires': '5'}, {'expires': True}, {'app': ''}, {'cleanup': 2}, {'strict': 1},
                        {'cookie': {'color': 'red'}}, {'cookie': {'same_site': 'never'}}, {'cookie': {'name': 'a b'}},
                        {'cache_limiter': 'all'}, {'seed': 1}):
            with self.subTest(options=options), self.assertRaises((InvalidOption, InvalidName)):
                self.sessions.start({}, **options)  # type: ignore[arg-type]
        with self.assertRaises(Error), self.assertLogs('lemon_session_host'):
            self.sessions.start({}, table='Other').save()
        with self.assertRaises(Error), self.assertLogs('lemon_session_host'):
            self.sessions.start({}, storage='archive').save()

    def test_applications_and_reservations(self) -> None:
        session = self.sessions.start({})
        other = session.application('other')
        other['x'] = 1
        self.assertNotIn('x', session)
        reserved = session.reserve('auth', 'secret')
        reserved['user'] = 'ada'
        self.assertRaises(Reserved, session.application, 'auth')
        self.assertRaises(Reserved, session.reserve, 'auth', 'wrong')
        self.assertEqual(session.reserve('auth', 'secret')['user'], 'ada')
        reserved.release('auth')
        self.assertEqual(session.application('auth')['user'], 'ada')

    def test_stores_and_tables_that_are_named_can_be_used(self) -> None:
        with sqlite() as archive:
            sessions = self.place.sessions(stores={'archive': archive.url}, tables=['Other'])
            for place in ({}, {'storage': 'archive'}, {'table': 'Other'}):
                with sessions.start({}, **place) as session:
                    session['at'] = str(place)
            self.assertEqual([sessions.manager(**place).count() for place in ({}, {'storage': 'archive'})], [1, 1])
            sessions.close()

    def test_the_grant_restricts_the_manager(self) -> None:
        manager = self.place.sessions(Settings(manager='owners')).manager()
        self.assertRaises(Denied, manager.count)
        self.assertEqual(manager.destroy_owned('ada'), 0)

    def test_a_block_that_raises_saves_nothing(self) -> None:
        with self.assertLogs('lemon_session_host') as logs, self.assertRaises(ZeroDivisionError):
            with self.sessions.start({}) as session:
                session['n'] = 1 / 0 if False else 1
                raise ZeroDivisionError
        self.assertIn('not saved', logs.output[0])
        self.assertEqual(self.sessions.manager().count(), 0)

    def test_a_session_that_nothing_refers_to_gives_its_instance_back(self) -> None:
        pool = self.sessions._pool
        session = self.sessions.start({})
        further = session.application('other')
        self.assertEqual(len(pool), 0)
        del session
        gc.collect()
        self.assertEqual(len(pool), 0, 'a handle of it is in use')
        del further
        gc.collect()
        self.assertEqual(len(pool), 1)

    def test_a_closed_session_is_refused(self) -> None:
        session = self.sessions.start({})
        session.close()
        session.close()
        self.assertRaises(Failed, session.save)

    def test_an_instance_that_held_a_large_session_is_not_kept(self) -> None:
        with self.sessions.start({}) as session:
            session['large'] = b'x' * 500_000
        self.assertEqual(len(self.sessions._pool), 0)
        with self.sessions.start(visitor(cookie_of(session.headers))) as session:
            self.assertEqual(len(session['large']), 500_000)


    def test_one_save_carries_what_a_call_can(self) -> None:
        with self.sessions.start({}) as session:
            for name in 'ab':
                session[name] = b'x' * 1_000_000
            with self.assertRaisesRegex(TooLarge, 'one save carries at most 2000000 bytes'):
                session['c'] = 'x'
            session.save()
            session['c'] = '€' * 300_000
        with self.sessions.start(visitor(cookie_of(session.headers))) as session:
            self.assertEqual([len(session[name]) for name in 'abc'], [1_000_000, 1_000_000, 300_000])


class Faults(unittest.TestCase):
    """What goes wrong in a store or in the component."""

    def faulty(self, place: Place, fault: str, error: BaseException) -> tuple[Sessions, list[BaseException]]:
        """A store in SQLite that raises the errors of a list in one of its methods."""
        faults: list[BaseException] = []

        class Faulty(Sqlite):
            pass

        def method(self: Faulty, *arguments: object) -> object:
            if faults:
                raise faults.pop()
            return getattr(Sqlite, fault)(self, *arguments)
        setattr(Faulty, fault, method)
        store = Faulty(place.url.removeprefix('sqlite:'))
        return Sessions(store, Settings(app='test')), faults

    def test_an_exception_in_a_store_is_an_error_and_poisons_nothing(self) -> None:
        for fault, error in (('load', KeyError('secret')), ('update', ValueError('secret')), ('create', OSError('x'))):
            with self.subTest(fault=fault), sqlite() as place:
                sessions, faults = self.faulty(place, fault, error)
                cookie = ''
                if fault != 'create':
                    with sessions.start({}) as session:
                        session['n'] = 1
                    cookie = cookie_of(session.headers)
                faults.append(error)
                with self.assertRaises(Storage) as raised, self.assertLogs('lemon_session_host') as logs:
                    with sessions.start(visitor(cookie)) as session:
                        session['n'] = 2
                self.assertNotIn('secret', str(raised.exception))
                self.assertIn(type(error).__name__, logs.output[0])
                with sessions.start(visitor(cookie)) as session:
                    self.assertEqual(session.created(), fault == 'create')
                    session['n'] = 3
                self.assertEqual(len(sessions._pool), 1, 'the instance was not given up')

    def test_a_trap_fails_its_request_alone(self) -> None:
        with sqlite() as place:
            sessions = place.sessions()
            with sessions.start({}) as session:
                session['n'] = 1
            cookie = cookie_of(session.headers)
            with sessions.start(visitor(cookie)) as beside:
                lease = sessions._pool.lease()
                instance = lease._instance
                # More than the memory of an instance.
                session = sessions.lazily(None, lease=lease, session_id='x' * 100_000_000)
                with self.assertLogs('lemon_session_host', 'ERROR'), self.assertRaises(Failed) as raised:
                    session.start()
                self.assertEqual(raised.exception.status, 500)
                self.assertRaises(Failed, session.get, 'n')
                session.close()
                beside.add('n')
            self.assertNotIn(instance, sessions._pool._idle)
            with sessions.start(visitor(cookie)) as session:
                self.assertEqual(session['n'], 2)

    def test_a_wrong_answer_of_a_store_is_no_session(self) -> None:
        with sqlite() as place:
            class Wrong(Sqlite):
                def load(self, *arguments: object) -> object:  # type: ignore[override]
                    return None
            sessions = Sessions(Wrong(place.url.removeprefix('sqlite:')), Settings(app='test'))
            with sessions.start({}) as session:
                session['n'] = 1
            with self.assertLogs('lemon_session_host'), self.assertRaises(Error):
                sessions.start(visitor(cookie_of(session.headers)))

    def test_an_exit_in_a_store_ends_the_call_and_is_raised(self) -> None:
        # As gunicorn raises SystemExit in a signal handler.
        with sqlite() as place:
            sessions, faults = self.faulty(place, 'load', SystemExit())
            with sessions.start({}) as session:
                session['n'] = 1
            cookie = cookie_of(session.headers)
            faults.append(SystemExit(3))
            self.assertRaises(SystemExit, sessions.start, visitor(cookie))
            with sessions.start(visitor(cookie)) as session:
                self.assertEqual(session['n'], 1)

    def test_a_store_that_cannot_be_reached_is_named(self) -> None:
        for url, hint in (('redis://127.0.0.1:1', 'Redis at 127.0.0.1:1'), ('sqlite:/proc/none.db', '/proc/none.db')):
            with self.subTest(url=url), self.assertLogs('lemon_session_host') as logs:
                with self.assertRaises(Storage) as raised:
                    Sessions(url).start({}).save()
                self.assertIn(hint, logs.output[0])
                self.assertEqual(raised.exception.status, 503)

    def test_urls_that_are_impossible_are_refused_with_what_would_be_right(self) -> None:
        for url, right in (('mysql://x', 'sqlite:PATH'), ('sqlite:', 'sqlite:PATH'), ('sqlite://x.db', 'without //'),
                           ('sqlite:/no/such/x.db', 'there is no folder'), ('sqlite:/tmp', 'is a folder'),
                           ('redis+cluster://a,b', 'cluster'), ('redis://:secret@', 'redis://USER'), ('files:/no', 'folder')):
            with self.subTest(url=url), self.assertRaisesRegex(ValueError, '(?i)' + right) as raised:
                Sessions(url)
            self.assertNotIn('secret', str(raised.exception))


if __name__ == '__main__':
    unittest.main()
