"""Under gunicorn and uvicorn, with several processes and threads."""

import os
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from .test_readme import free_port

PAGES = '''
import os
from lemon_session_host import Sessions, Settings

sessions = Sessions('sqlite:sessions.db', Settings(app='test'))


def wsgi_page(environ, start_response):
    session = environ['lemon.session']
    session['v' + environ['PATH_INFO'][1:]] = os.getpid()
    session.add('count')
    start_response('200 OK', [])
    return [b'%d' % os.getpid()]


async def asgi_page(scope, receive, send):
    if scope['type'] == 'lifespan':
        return
    session = scope['session']
    session['v' + scope['path'][1:]] = os.getpid()
    session.add('count')
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'%d' % os.getpid()})


wsgi = sessions.wsgi(wsgi_page)
asgi = sessions.asgi(asgi_page)
# With --preload this runs before the fork.
with sessions.start({}) as first:
    first['made'] = 'before the fork'
'''


@contextmanager
def serving(*command: str) -> Iterator[tuple[str, str]]:
    """A server with the pages above: its folder and its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'pages.py').write_text(PAGES)
        process = subprocess.Popen([sys.executable, '-m', *(part.replace('PORT', str(port)) for part in command)], cwd=folder,
                                   env={**os.environ, 'PYTHONPATH': os.pathsep.join([folder, *sys.path])},
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        url = f'http://127.0.0.1:{port}'
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(f'{url}/up', timeout=60).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        process.kill()
                        raise AssertionError(process.stdout.read().decode()) from None
                    time.sleep(0.1)
            yield folder, url
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


class Servers(unittest.TestCase):
    def keeps_all(self, *command: str, workers: int) -> None:
        with serving(*command) as (folder, url):
            with urllib.request.urlopen(f'{url}/first', timeout=60) as response:
                cookie = response.headers['set-cookie'].partition(';')[0]

            def request(number: int) -> bytes:
                sent = urllib.request.Request(f'{url}/{number}', headers={'Cookie': cookie})
                with urllib.request.urlopen(sent, timeout=60) as response:
                    return bytes(response.read())

            with ThreadPoolExecutor(16) as threads:
                processes = set(threads.map(request, range(50)))
            from lemon_session_host import Sessions, Settings
            sessions = Sessions(f'sqlite:{folder}/sessions.db', Settings(app='test'))
            with sessions.start({'HTTP_COOKIE': cookie}) as session:
                self.assertEqual((session['count'], len(session)), (51, 52))
                self.assertTrue({f'v{number}' for number in range(50)} <= set(session))
            sessions.close()
            self.assertLessEqual(len(processes), workers)

    def test_gunicorn_with_processes_that_are_forked_after_a_session(self) -> None:
        self.keeps_all('gunicorn', '--preload', '--workers', '2', '--threads', '4', '--bind', '127.0.0.1:PORT',
                       '--no-control-socket', 'pages:wsgi', workers=2)

    def test_uvicorn(self) -> None:
        self.keeps_all('uvicorn', '--port', 'PORT', '--lifespan', 'off', '--log-level', 'warning', 'pages:asgi', workers=1)


if __name__ == '__main__':
    unittest.main()
