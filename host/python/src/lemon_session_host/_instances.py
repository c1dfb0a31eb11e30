"""Instances of the session component, and the pool of those that wait for a request."""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from wasmtime import Store as WasmStore, WasiConfig, _ffi as ffi
from wasmtime.component import Component, Linker

from . import _abi, _component, _imports
from .errors import Error, Failed, TooLarge, of_case
from .requests import NO_CLIENT
from .settings import Limits, Settings

logger = logging.getLogger('lemon_session_host')

SESSIONS = 'lemon:session/sessions@0.1.0'
MANAGER = 'lemon:session/manager@0.1.0'

# How many idle instances a process keeps.
_KEPT = 32
# An instance that held a session of more bytes is not kept: its memory never shrinks.
_LARGE = 256 * 1024
# wasmtime copies at most 128 MB out of an instance in one call, and counts some 50 bytes for each byte of a value. There is no
# way to raise that in wasmtime-py.
_MOST_SAVED = 2_000_000
# The memory that an instance needs in addition to the session in it, and the copies of that.
_OWN_MEMORY, _COPIES = 16 * 1024 * 1024, 4


class Instance:
    """One instance, with the functions that were called so far."""

    def __init__(self, program: 'Program', store: WasmStore, instance: Any):
        self._program, self._store, self._instance = program, store, instance
        self._functions: dict[tuple[str, str], Any] = {}

    def call(self, interface: str, name: str, *arguments: Any) -> Any:
        """Calls an export. Raises Trap if it did not return: the instance must not be called again."""
        function = self._functions.get((interface, name))
        if function is None:
            within = self._instance.get_export_index(self._store, interface)
            index = self._instance.get_export_index(self._store, name, within)
            function = self._functions[interface, name] = self._instance.get_func(self._store, index)._func
        return _abi.call(self._store._context(), function, self._program.signatures[interface, name], arguments)

    def drop(self, handle: Any) -> None:
        """Ends a handle of this instance."""
        try:
            error = ffi.wasmtime_component_resource_any_drop(self._store._context(), handle)
        finally:
            ffi.wasmtime_component_resource_any_delete(handle)
        if error:
            raise _abi.Trap(_abi.message_of(error))


class Program:
    """A component, compiled and linked with its imports in this process."""

    def __init__(self, name: str, settings: Settings, imports: dict[str, dict[str, Callable[..., Any]]],
                 wasi: Callable[[], WasiConfig], has_threads: bool = False):
        self._settings, self._wasi = settings, wasi
        # Whether its instances use threads of wasmtime, which a fork does not copy: those of WASI's files.
        self.has_threads = has_threads
        engine, self._component = _component.compiled(name)
        self._engine = engine
        kind = self._component.type
        self.signatures = {
            (interface, function): _abi.Signature(of)
            for interface in (SESSIONS, MANAGER)
            for function, of in _functions(kind.exports(engine)[interface], engine)
        }
        linker = Linker(engine)
        linker.add_wasip2()
        self._callbacks = []
        found = kind.imports(engine)
        with linker.root() as root:
            for interface, functions in imports.items():
                with root.add_instance(interface) as instance:
                    for function, of in _functions(found[interface], engine):
                        self._callbacks.append(_abi.define(instance, function, of, functions[function]))
        self._linker = linker

    def instantiate(self) -> Instance:
        store = WasmStore(self._engine)
        store.set_limits(memory_size=_OWN_MEMORY + _COPIES * self._settings.limits.session_bytes)
        store.set_wasi(self._wasi())
        return Instance(self, store, self._linker.instantiate(store, self._component))


def _functions(interface: Any, engine: Any) -> list[tuple[str, Any]]:
    """The functions of an interface, with their types."""
    items = [(name, _kind(item)) for name, item in _kind(interface).exports(engine).items()]
    return [(name, kind) for name, kind in items if hasattr(kind, 'params')]


def _kind(item: Any) -> Any:
    """What an import or export is. wasmtime-py 48 has no object around it."""
    return getattr(item, 'ty', item)


class Pool:
    """The idle instances of this process. They are made when they are needed, after any fork."""

    def __init__(self, program: Callable[[], Program], caller: _imports.Caller, limits: Limits):
        self._make, self.caller, self.limits = program, caller, limits
        self._requests = count(1)
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._program: Program | None = None
        # Its operations are atomic, also when the garbage collector ends a lease in the middle of one.
        self._idle: deque[Instance] = deque(maxlen=_KEPT)

    def after_fork(self) -> None:
        # The parent's instances may be in use by its other threads. They are neither used nor deleted here.
        _of_parents.append((self._program, self._idle))
        if self._program is not None and self._program.has_threads:
            self._make = _refuse_after_fork
        self._reset()

    def lease(self) -> 'Lease':
        """Takes an instance for one request, or makes one."""
        try:
            instance = self._idle.pop()
        except IndexError:
            try:
                with self._lock:
                    program = self._program = self._program or self._make()
                instance = program.instantiate()
            except Exception as error:
                raise Failed(f'the session component cannot be started: {error}') from error
        return Lease(self, instance, next(self._requests))

    def keep(self, instance: Instance) -> None:
        self._idle.append(instance)

    def __len__(self) -> int:
        return len(self._idle)


_of_parents: list[Any] = []


def _refuse_after_fork() -> 'Program':
    raise RuntimeError('the parent of this process has used its sessions in files before the fork, and the threads of '
                       'wasmtime that access files are missing here: use them first after the fork')


class Lease:
    """An instance in use by one request, with the handles of its sessions. Returns the instance when it is closed, or when
    nothing refers to it any more."""

    def __init__(self, pool: Pool, instance: Instance, request: int):
        self._pool, self._instance, self._request = pool, instance, request
        # One call at a time. A finalizer cannot wait for it, as the last reference is gone then.
        self._lock = threading.Lock()
        self._handles: list[Any] = []
        self._is_open = True
        self._process = os.getpid()
        self._bytes = self._unsaved = 0
        # Whose request it is.
        self.client = NO_CLIENT

    def call(self, interface: str, name: str, *arguments: Any) -> Any:
        """Calls an export, and raises the error that it answers."""
        with self._lock:
            if not self._is_open or self._process != os.getpid():
                raise Failed('the session is closed, or an earlier call on it failed')
            answer = self._run(lambda: self._instance.call(interface, name, *arguments))
        if not isinstance(answer, tuple):
            return answer
        is_ok, content = answer
        if is_ok:
            return content
        # create-tables and drop-tables answer a list of errors.
        errors = [of_case(error) for error in (content if isinstance(content, list) else [content])]
        if len(errors) == 1:
            raise errors[0]
        raise Error('; '.join(map(str, errors)))

    def open(self, interface: str, name: str, *arguments: Any) -> Any:
        """Calls an export that returns a handle, which is dropped with this lease."""
        handle = self.call(interface, name, *arguments)
        self._handles.append(handle)
        return handle

    def note(self, size: int) -> None:
        """Notes that the instance has held a value of a size."""
        self._bytes += size

    def carry(self, name: str, size: int) -> None:
        """Notes that the instance gets a value of a size. Refuses one beyond the limit before it is copied into the
        instance, which would trap for lack of memory."""
        if size > (limit := self._pool.limits.value_bytes):
            raise TooLarge(f"the value of '{name}' has {size} bytes; the limit value-bytes is {limit}")
        if self._unsaved + size > _MOST_SAVED:
            raise TooLarge(f'one save carries at most {_MOST_SAVED} bytes of changes here: save before setting {name!r}')
        self._unsaved += size
        self.note(size)

    def saved(self) -> None:
        """Notes that the values it got are saved."""
        self._unsaved = 0

    def _run(self, call: Callable[[], Any]) -> Any:
        self._is_open = False
        caller, before = self._pool.caller, self._pool.caller.request
        caller.request, caller.client = self._request, self.client
        try:
            answer = call()
        except _abi.Trap as trap:
            logger.error('the session component trapped: %s', trap)
            raise Failed('the session component trapped') from trap
        finally:
            caller.request = before
        self._is_open = True
        return answer

    def close(self) -> None:
        """Drops all handles, and with them the changes that were not saved."""
        with self._lock:
            if not self._is_open:
                return
            if self._process != os.getpid():
                self._is_open = False
                return
            handles, self._handles = self._handles, []
            try:
                for handle in handles:
                    self._run(lambda: self._instance.drop(handle))
            except Failed:
                return
            self._is_open = False
            if self._bytes <= _LARGE:
                self._pool.keep(self._instance)

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:
            # While the interpreter ends, what this needs may be gone.
            pass
