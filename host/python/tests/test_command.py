"""One store, used by this package and by the command `lemon-session` at the same time."""

import json
import os
import sqlite3
import subprocess
import unittest
import urllib.request

from lemon_session_host import Sessions, Settings, Storage

from .support import ROOT, Place, cookie_of, missing, redis, sqlite, visitor

COMMAND = os.environ.get('LEMON_SESSION_COMMAND', '')


def lemon_session(place: Place, *arguments: str) -> str:
    if not COMMAND:
        missing('LEMON_SESSION_COMMAND')
    done = subprocess.run([COMMAND, *arguments, '--storage', place.url, '--table', place.table], capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout


class SharedWithTheCommand(unittest.TestCase):
    def test_the_command_knows_the_tables_and_sessions_of_this_package(self) -> None:
        for store in (sqlite, redis):
            with self.subTest(store=store.__name__), store() as place:
                sessions = place.sessions()
                with sessions.start({}) as session:
                    session['small'], session['large'] = 1, 'x' * 5000
                    session.set_owner('ada')
                    digest = session.digest()
                cookie = cookie_of(session.headers)
                checked = json.loads(lemon_session(place, 'tables', 'check', '--json'))
                self.assertEqual((checked['exist'], checked['differences']), (True, []))
                listed = [json.loads(line) for line in lemon_session(place, 'list', '--json').splitlines()]
                self.assertEqual([(one['digest'], one['owner']) for one in listed], [(digest, 'ada')])
                lemon_session(place, 'destroy', digest, '--yes')
                with sessions.start(visitor(cookie)) as session:
                    self.assertTrue(session.created())
                    session.destroy()

    def test_this_package_uses_tables_of_the_command(self) -> None:
        for store in (sqlite, redis):
            with self.subTest(store=store.__name__), store() as place:
                lemon_session(place, 'tables', 'create')
                sessions = place.sessions(create_tables=False)
                with sessions.start({}) as session:
                    session['n'] = 1
                self.assertEqual(sessions.manager().count(), 1)

    def test_a_page_in_webassembly_and_this_package_share_a_visitor_s_session(self) -> None:
        page = ROOT / 'target/wasm32-wasip2/component/visits.wasm'
        if not COMMAND or not page.exists():
            missing('visits.wasm')
        with sqlite() as place:
            command = [COMMAND, 'serve', str(page), '--addr', '127.0.0.1:0', '--storage', place.url]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                try:
                    assert server.stdout is not None
                    url = server.stdout.readline().split(' on ')[1].split()[0]
                    with urllib.request.urlopen(url, timeout=60) as response:
                        cookie = response.headers['set-cookie'].partition(';')[0]
                    sessions = place.sessions(Settings(app='visits'))
                    with sessions.start(visitor(cookie)) as session:
                        self.assertEqual(session['variable1'], 'Python Rules!')
                        session['variable1'] = 'Rust too'
                        session.regenerate_id()
                    cookie = cookie_of(session.headers)
                    request = urllib.request.Request(url, headers={'Cookie': cookie})
                    with urllib.request.urlopen(request, timeout=60) as response:
                        self.assertIn(b'variable1: Rust too', response.read())
                finally:
                    server.kill()


class Tables(unittest.TestCase):
    def changed(self, place: Place, statement: str) -> Sessions:
        place.sessions().manager().create_tables()
        connection = sqlite3.connect(place.url.removeprefix('sqlite:'))
        connection.execute(statement)
        connection.commit()
        connection.close()
        return place.sessions()

    def test_tables_of_a_newer_layout_are_refused(self) -> None:
        with sqlite() as place:
            sessions = self.changed(place, 'UPDATE Session_meta SET version = 4')
            with self.assertLogs('lemon_session_host') as logs, self.assertRaises(Storage):
                sessions.start({}).save()
            self.assertIn('layout 4', logs.output[0])

    def test_tables_of_an_older_layout_are_upgraded(self) -> None:
        layout_1 = (ROOT / 'host/sqlite/src/layout_1.sql').read_text().replace('{table}', 'Session')
        with sqlite() as place:
            connection = sqlite3.connect(place.url.removeprefix('sqlite:'))
            connection.executescript(layout_1)
            connection.executescript('CREATE TABLE Session_meta (version INTEGER NOT NULL) STRICT;'
                                     'INSERT INTO Session_meta VALUES (1)')
            connection.close()
            sessions = place.sessions()
            with sessions.start({}) as session:
                session['n'] = 1
            self.assertEqual(sessions.manager().count(), 1)

    def test_a_file_that_is_replaced_is_noticed(self) -> None:
        with sqlite() as place, sqlite() as other:
            with other.sessions().start({}) as session:
                session['from'] = 'backup'
            cookie = cookie_of(session.headers)
            path, backup = (one.url.removeprefix('sqlite:') for one in (place, other))
            connection = sqlite3.connect(backup)
            connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
            connection.close()
            sessions = place.sessions()
            with sessions.start({}) as session:
                session['n'] = 1
            os.replace(backup, path)
            with self.assertLogs('lemon_session_host') as logs, self.assertRaises(Storage):
                sessions.start(visitor(cookie))
            self.assertIn('was replaced', logs.output[0])
            for suffix in ('-wal', '-shm'):
                if os.path.exists(path + suffix):
                    os.remove(path + suffix)
            with sessions.start(visitor(cookie)) as session:
                self.assertEqual(session['from'], 'backup')

    def test_only_this_user_may_read_the_file(self) -> None:
        with sqlite() as place:
            place.sessions().manager().create_tables()
            self.assertEqual(os.stat(place.url.removeprefix('sqlite:')).st_mode & 0o777, 0o600)


class CompiledCode(unittest.TestCase):
    def test_a_folder_that_others_can_write_to_is_not_used(self) -> None:
        import tempfile
        from lemon_session_host._component import _Folder
        from pathlib import Path
        with tempfile.TemporaryDirectory() as folder:
            inner = Path(folder, 'a', 'cache')
            cache = _Folder(inner)
            cache.write('d' * 64, b'code')
            self.assertEqual(cache.read('d' * 64), b'code')
            self.assertIsNone(cache.read('e' * 64))
            planted = inner / ('f' * 64)
            for content, mode in ((b'code' + b'd' * 64, 0o600), (b'code' + b'f' * 64, 0o644)):
                planted.write_bytes(content)
                planted.chmod(mode)
                self.assertIsNone(cache.read('f' * 64), (content, mode))
            planted.unlink()
            planted.symlink_to(inner / ('d' * 64))
            self.assertIsNone(cache.read('f' * 64), 'a link')
            cache.close()
            for path, mode in ((inner, 0o755), (inner.parent, 0o777)):
                before = path.stat().st_mode
                path.chmod(mode)
                self.assertRaises(PermissionError, _Folder, inner)
                path.chmod(before)
            _Folder(inner).close()


if __name__ == '__main__':
    unittest.main()
