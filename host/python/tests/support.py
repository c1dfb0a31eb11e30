"""What several tests need: the stores that can be tested here, and processes that use a session."""

import os
import socket
import subprocess
import sys
import tempfile
import unittest
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lemon_session_host import Sessions, Settings, _component

ROOT = Path(__file__).resolve().parents[3]
REDIS = os.environ.get('LEMON_TEST_REDIS', 'redis://127.0.0.1:6379')


def missing(what: str) -> None:
    """Skips a test that needs something."""
    raise unittest.SkipTest(f'{what} is not there')


def has_redis() -> bool:
    host, _, port = REDIS.split('://')[1].split('/')[0].rpartition('@')[2].partition(':')
    try:
        socket.create_connection((host, int(port or 6379)), 1).close()
    except OSError:
        return False
    return find_spec('redis') is not None


def has_files() -> bool:
    try:
        _component.data(_component.FILES)
    except FileNotFoundError:
        return False
    return True


class Place:
    """A store of its own for one test: the arguments of Sessions, also for other processes."""

    def __init__(self, url: str, table: str = 'Session'):
        self.url, self.table = url, table

    def sessions(self, settings: Settings | None = None, **more: Any) -> Sessions:
        return Sessions(self.url, settings or Settings(app='test'), table=self.table, **more)

    def program(self, text: str) -> list[str]:
        """A process that runs a program with `sessions`."""
        start = (f'from lemon_session_host import *\nimport os, sys, time\n'
                 f"sessions = Sessions({self.url!r}, Settings(app='test'), table={self.table!r})\n")
        return [sys.executable, '-c', start + text]

    def run(self, text: str) -> str:
        return subprocess.run(self.program(text), check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout


@contextmanager
def sqlite() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        yield Place(f'sqlite:{folder}/sessions.db')


@contextmanager
def redis() -> Iterator[Place]:
    if not has_redis():
        missing(f'Redis at {REDIS}')
    place = Place(REDIS, f'py{uuid.uuid4().hex[:12]}')
    try:
        yield place
    finally:
        place.sessions().manager().drop_tables()


@contextmanager
def files() -> Iterator[Place]:
    if not has_files():
        missing(f'{_component.FILES} in the package')
    with tempfile.TemporaryDirectory() as folder:
        yield Place(f'files:{folder}')


STORES: dict[str, Callable[[], AbstractContextManager[Place]]] = {'sqlite': sqlite, 'redis': redis, 'files': files}


def on_every_store(test: Callable[[Any, Place], None]) -> Callable[[Any], None]:
    """Runs a test once for each store."""
    def run(case: Any) -> None:
        for name, place in STORES.items():
            with case.subTest(store=name):
                with place() as at:
                    test(case, at)
    run.__name__ = test.__name__
    return run


def cookie_of(headers: list[tuple[str, str]]) -> str:
    """The cookie that a visitor sends after these headers; empty if it was deleted."""
    cookies = [value for name, value in headers if name.lower() == 'set-cookie']
    assert len(cookies) == 1, headers
    return '' if 'Max-Age=0' in cookies[0] else cookies[0].partition(';')[0]


def visitor(cookie: str) -> dict[str, str]:
    """The environment of WSGI of a visitor's request."""
    return {'HTTP_COOKIE': cookie} if cookie else {}
