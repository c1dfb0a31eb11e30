"""The session component, compiled: once for each machine and version, where the compiled code can be kept."""

import hashlib
import logging
import os
import stat
import threading
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from wasmtime import Config, Engine, WasmtimeError
from wasmtime.component import Component

logger = logging.getLogger('lemon_session_host')

BARE = 'lemon_session.wasm'
"""The session component, whose store is in Python."""

FILES = 'lemon_session_files.wasm'
"""The session component with a store in files."""

_lock = threading.Lock()
_engine: Engine | None = None
_components: dict[str, Component] = {}


def data(name: str) -> bytes:
    """A file that is part of this package."""
    return resources.files('lemon_session_host').joinpath('data', name).read_bytes()


def compiled(name: str) -> tuple[Engine, Component]:
    """A component, compiled for this process."""
    global _engine
    with _lock:
        if _engine is None:
            config = Config()
            # The threads of the compiler would be missing after a fork.
            config.parallel_compilation = False
            _engine = Engine(config)
        component = _components.get(name)
        if component is None:
            component = _components[name] = _load(_engine, data(name))
        return _engine, component


def forget_lock() -> None:
    """After a fork: another thread may have held it. What is compiled can be used on."""
    global _lock
    _lock = threading.Lock()


def _load(engine: Engine, source: bytes) -> Component:
    digest = hashlib.sha256(source + version('wasmtime').encode()).hexdigest()
    try:
        folder = _Folder.of_user()
    except OSError as error:
        logger.warning('compiled code is not kept, so each process compiles the session component anew: %s', error)
        return Component(engine, source)
    if folder is None:
        return Component(engine, source)
    try:
        if code := folder.read(digest):
            try:
                return Component.deserialize(engine, code)
            except WasmtimeError as error:
                logger.warning('ignoring compiled code in %s: %s', folder.path, error)
        component = Component(engine, source)
        try:
            folder.write(digest, component.serialize())
        except OSError as error:
            logger.warning('compiled code is not kept in %s: %s', folder.path, error)
        return component
    finally:
        folder.close()


class _Folder:
    """The folder of compiled code. Its files are machine code, which is executed as it is: the folder and each file are
    checked on what was opened, and must belong to this user and be closed to all others."""

    def __init__(self, path: Path):
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if not _is_private(os.fstat(self._descriptor)):
                raise PermissionError(f'{path} must belong to this user and be closed to others (chmod 700)')
            _check_above(path)
        except OSError:
            self.close()
            raise

    @classmethod
    def of_user(cls) -> '_Folder | None':
        """`$LEMON_SESSION_CACHE`, where an empty value keeps no code, or the user's cache folder."""
        given = os.environ.get('LEMON_SESSION_CACHE')
        # Elsewhere there is no way to check who can write to a folder.
        if given == '' or not hasattr(os, 'geteuid') or os.open not in os.supports_dir_fd:
            return None
        if given is not None:
            return cls(Path(given))
        caches = os.environ.get('XDG_CACHE_HOME', '')
        if not os.path.isabs(caches):
            caches = os.path.join(os.path.expanduser('~'), '.cache')
        if not os.path.isabs(caches):
            raise FileNotFoundError('this user has no home folder')
        return cls(Path(caches, 'lemon-session-host'))

    def close(self) -> None:
        os.close(self._descriptor)

    def read(self, digest: str) -> bytes | None:
        """The code that this user wrote for a component, without the digest at its end."""
        try:
            # Non-blocking, because opening a pipe waits for a writer.
            file = os.open(digest, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._descriptor)
        except OSError:
            return None
        with os.fdopen(file, 'rb') as opened:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or not _is_private(found) or found.st_nlink != 1:
                return None
            code = opened.read()
        return code[:-len(digest)] if code.endswith(digest.encode()) else None

    def write(self, digest: str, code: bytes | bytearray) -> None:
        unfinished = f'{digest}.{os.getpid()}.{threading.get_ident()}'
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(unfinished, flags, 0o600, dir_fd=self._descriptor), 'wb') as file:
            try:
                file.write(bytes(code) + digest.encode())
                file.flush()
                os.rename(unfinished, digest, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            except OSError:
                os.unlink(unfinished, dir_fd=self._descriptor)
                raise


def _is_private(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and found.st_mode & 0o077 == 0


def _check_above(path: Path) -> None:
    """Fails if another user could replace the folder by another one."""
    for parent in path.resolve().parents:
        found = parent.stat()
        is_open = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
        if found.st_uid not in (0, os.geteuid()) or is_open:
            raise PermissionError(f'{path} is in {parent}, which other users can write to')

