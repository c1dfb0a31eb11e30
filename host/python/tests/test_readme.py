"""The programs of the README, as they stand there, run in an empty folder."""

import http.cookiejar
import os
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .support import ROOT

README = (ROOT / 'host/python/README.md').read_text()


def program(name: str) -> str:
    found = re.search(rf'`{re.escape(name)}`:\n\n```python\n(.*?)```', README, re.DOTALL)
    assert found, name
    return found[1]


class Visitor:
    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, url: str, **form: str) -> str:
        data = urllib.parse.urlencode(form).encode() if form else None
        with self._opener.open(url, data, timeout=60) as response:
            return str(response.read().decode())


@contextmanager
def serving(folder: str, text: str, arguments: list[str], greeting: str) -> Iterator[None]:
    Path(folder, 'main.py').write_text(text)
    process = subprocess.Popen([sys.executable, '-u', 'main.py', *arguments], cwd=folder, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, env={**os.environ, 'PYTHONUNBUFFERED': '1'})
    assert process.stdout is not None
    try:
        log = ''
        for line in process.stdout:
            log += line
            if greeting in line:
                break
        else:
            raise AssertionError(log)
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def free_port() -> int:
    import socket
    with socket.create_server(('127.0.0.1', 0)) as server:
        return int(server.getsockname()[1])


class Readme(unittest.TestCase):
    def test_the_page_and_the_project_share_a_visitor_s_session(self) -> None:
        ports = free_port(), free_port()
        page, project = (f'http://127.0.0.1:{port}' for port in ports)
        text = program('page.py').replace('8080', str(ports[0]))
        self.assertIn('$ python page.py\n', README)
        command = re.search(r'\$ python project.py (.*) 8081\n', README)
        assert command is not None
        arguments = [*command[1].split(), str(ports[1])]
        with tempfile.TemporaryDirectory() as folder:
            with serving(folder, text, [], 'Serving http'), \
                    serving(folder, program('project.py'), arguments, 'Quit the server'):
                visitor = Visitor()
                visit = '<p>Hello, a stranger: this is your visit no. {}.</p>'
                self.assertEqual([visitor.get(page) for _ in range(2)], [visit.format(1), visit.format(2)])
                self.assertEqual(visitor.get(f'{page}/login', user='Ada'), '<p>Hello, Ada: this is your visit no. 3.</p>')
                self.assertEqual(visitor.get(project), 'This is your visit no. 4, Ada\n')
                self.assertEqual(Visitor().get(project), 'This is your visit no. 1, stranger\n')
                self.assertEqual(visitor.get(f'{project}/logout'), 'See you\n')
                self.assertEqual(visitor.get(page), visit.format(1))
                self.assertEqual(visitor.get(f'{page}/logout', x='y'), visit.format(1))
            with serving(folder, text, [], 'Serving http'):
                self.assertEqual(visitor.get(page), visit.format(2), 'it survives a restart')

    def test_every_block_is_python(self) -> None:
        blocks = re.findall(r'```python\n(.*?)```', README, re.DOTALL)
        self.assertEqual(len(blocks), 4)
        for block in blocks:
            compile(block, 'README.md', 'exec')

    def test_the_table_of_errors_is_that_of_the_classes(self) -> None:
        import lemon_session_host
        rows = re.findall(r'^\| (`[A-Z].*?) \| (\d+) \|', README, re.MULTILINE)
        told = {name: int(status) for names, status in rows for name in re.findall(r'`(\w+)`', names)}
        errors = {name: one.status for name, one in vars(lemon_session_host).items()
                  if isinstance(one, type) and issubclass(one, lemon_session_host.Error)
                  and one is not lemon_session_host.Error}
        self.assertEqual(told, errors)


if __name__ == '__main__':
    unittest.main()
