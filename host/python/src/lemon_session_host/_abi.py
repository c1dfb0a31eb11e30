"""Calls between Python and a component, with values of Python for values of WIT.

wasmtime-py has such a conversion, in `wasmtime.component`. This package has one of its own for three reasons:

- the conversion of a variant in wasmtime-py uses one set that all threads share, so that two threads which convert at the
  same time can choose wrong cases;
- it cannot tell the cases of `result<option<…>, …>` apart by their type;
- it reads the types anew in each call, and converts bytes one at a time, which takes most of the time of a call.

Here each type becomes a pair of functions once. A record is a tuple in the order of its fields, a variant is a pair of case
and value, a result is a pair of bool and value, an option is None or a value. Of `option<option<…>>` the outer one is None
or a tuple with the inner one.
"""

import ctypes
import threading
from collections.abc import Callable
from ctypes import byref, memmove, string_at
from typing import Any

from wasmtime import _ffi as ffi, component as wit

Lift = Callable[[Any], Any]
Lower = Callable[[Any, Any], None]

_VALUE = ctypes.sizeof(ffi.wasmtime_component_val_t)
_OF = ffi.wasmtime_component_val_t.of.offset
# A value of type u8 for each byte, as it stands in memory.
_BYTES = [bytes([ffi.WASMTIME_COMPONENT_U8.value]) + bytes(_OF - 1) + bytes([byte]) + bytes(_VALUE - _OF - 1)
          for byte in range(256)]


class Codec:
    """How the values of one type are read from memory (`lift`) and written to it (`lower`)."""

    def __init__(self, lift: Lift, lower: Lower):
        self.lift = lift
        self.lower = lower


def codec(kind: Any) -> Codec:
    """The codec of a type of wasmtime.component."""
    if isinstance(kind, wit.ListType):
        element = kind.element
        return _bytes() if isinstance(element, wit.U8) else _list(codec(element))
    if isinstance(kind, wit.RecordType):
        return _record([(name, codec(field)) for name, field in kind.fields])
    if isinstance(kind, wit.TupleType):
        return _tuple([codec(element) for element in kind.elements])
    if isinstance(kind, wit.VariantType):
        return _variant({name: None if case is None else codec(case) for name, case in kind.cases})
    if isinstance(kind, wit.OptionType):
        return _option(codec(kind.payload), isinstance(kind.payload, wit.OptionType))
    if isinstance(kind, wit.ResultType):
        ok, err = kind.ok, kind.err
        return _result(None if ok is None else codec(ok), None if err is None else codec(err))
    if isinstance(kind, wit.OwnType):
        return Codec(_lift_resource, _refuse)
    if isinstance(kind, wit.BorrowType):
        return Codec(_refuse, _lower_resource)
    return _SIMPLE[type(kind)]


def _plain(number: ctypes.c_uint8, field: str, of: Callable[[Any], Any]) -> Codec:
    tag = number.value

    def lift(value: Any) -> Any:
        return of(getattr(value.of, field))

    def lower(plain: Any, value: Any) -> None:
        setattr(value.of, field, plain)
        value.kind = tag

    return Codec(lift, lower)


def _write_text(text: str, into: Any) -> None:
    encoded = text.encode()
    ffi.wasm_byte_vec_new_uninitialized(byref(into), len(encoded))
    memmove(into.data, encoded, len(encoded))


def _ready(name: str) -> Any:
    """A name in the form in which it is copied most quickly."""
    encoded = name.encode()
    return (ctypes.c_ubyte * len(encoded)).from_buffer_copy(encoded)


def _read_text(text: Any) -> str:
    return string_at(text.data, text.size).decode() if text.size else ''


def _named(number: ctypes.c_uint8, field: str) -> Codec:
    """Strings and cases of enums."""
    tag = number.value

    def lift(value: Any) -> str:
        return _read_text(getattr(value.of, field))

    def lower(text: str, value: Any) -> None:
        _write_text(text, getattr(value.of, field))
        value.kind = tag

    return Codec(lift, lower)


_SIMPLE = {
    wit.Bool: _plain(ffi.WASMTIME_COMPONENT_BOOL, 'boolean', bool),
    wit.U32: _plain(ffi.WASMTIME_COMPONENT_U32, 'u32', int),
    wit.U64: _plain(ffi.WASMTIME_COMPONENT_U64, 'u64', int),
    wit.S64: _plain(ffi.WASMTIME_COMPONENT_S64, 's64', int),
    wit.F64: _plain(ffi.WASMTIME_COMPONENT_F64, 'f64', float),
    wit.String: _named(ffi.WASMTIME_COMPONENT_STRING, 'string'),
    wit.EnumType: _named(ffi.WASMTIME_COMPONENT_ENUM, 'enumeration'),
}


def _bytes() -> Codec:
    tag = ffi.WASMTIME_COMPONENT_LIST.value

    def lift(value: Any) -> bytes:
        elements = value.of.list
        return string_at(elements.data, elements.size * _VALUE)[_OF::_VALUE] if elements.size else b''

    def lower(data: bytes, value: Any) -> None:
        elements = b''.join([_BYTES[byte] for byte in data])
        ffi.wasmtime_component_vallist_new_uninit(byref(value.of.list), len(data))
        memmove(value.of.list.data, elements, len(elements))
        value.kind = tag

    return Codec(lift, lower)


def _list(element: Codec) -> Codec:
    tag, lift_one, lower_one = ffi.WASMTIME_COMPONENT_LIST.value, element.lift, element.lower

    def lift(value: Any) -> list[Any]:
        elements = value.of.list
        data = elements.data
        return [lift_one(data[i]) for i in range(elements.size)]

    def lower(items: Any, value: Any) -> None:
        elements = value.of.list
        ffi.wasmtime_component_vallist_new_uninit(byref(elements), len(items))
        data = elements.data
        for i, item in enumerate(items):
            lower_one(item, data[i])
        value.kind = tag

    return Codec(lift, lower)


def _tuple(elements: list[Codec]) -> Codec:
    tag = ffi.WASMTIME_COMPONENT_TUPLE.value

    def lift(value: Any) -> tuple[Any, ...]:
        data = value.of.tuple.data
        return tuple([element.lift(data[i]) for i, element in enumerate(elements)])

    def lower(items: Any, value: Any) -> None:
        ffi.wasmtime_component_valtuple_new_uninit(byref(value.of.tuple), len(elements))
        data = value.of.tuple.data
        for i, (element, item) in enumerate(zip(elements, items, strict=True)):
            element.lower(item, data[i])
        value.kind = tag

    return Codec(lift, lower)


def _record(fields: list[tuple[str, Codec]]) -> Codec:
    tag = ffi.WASMTIME_COMPONENT_RECORD.value
    lifts = [field.lift for _, field in fields]
    lowers = [(_ready(name), field.lower) for name, field in fields]

    def lift(value: Any) -> tuple[Any, ...]:
        data = value.of.record.data
        return tuple([lift_field(data[i].val) for i, lift_field in enumerate(lifts)])

    def lower(items: Any, value: Any) -> None:
        ffi.wasmtime_component_valrecord_new_uninit(byref(value.of.record), len(lowers))
        data = value.of.record.data
        for i, ((name, lower_field), item) in enumerate(zip(lowers, items, strict=True)):
            entry = data[i]
            lower_field(item, entry.val)
            ffi.wasm_byte_vec_new(byref(entry.name), len(name), name)
        value.kind = tag

    return Codec(lift, lower)


def _boxed(payload: Any, lower: Lower) -> Any:
    """A value in memory of its own."""
    value = ffi.wasmtime_component_val_t()
    lower(payload, value)
    return ffi.wasmtime_component_val_new(byref(value))


def _variant(cases: dict[str, Codec | None]) -> Codec:
    tag = ffi.WASMTIME_COMPONENT_VARIANT.value

    def lift(value: Any) -> tuple[str, Any]:
        variant = value.of.variant
        name = _read_text(variant.discriminant)
        case = cases[name]
        return name, None if case is None else case.lift(variant.val.contents)

    def lower(pair: tuple[str, Any], value: Any) -> None:
        name, payload = pair
        case = cases[name]
        value.of.variant.val = None if case is None else _boxed(payload, case.lower)
        _write_text(name, value.of.variant.discriminant)
        value.kind = tag

    return Codec(lift, lower)


def _option(payload: Codec, is_nested: bool) -> Codec:
    tag, lift_one, lower_one = ffi.WASMTIME_COMPONENT_OPTION.value, payload.lift, payload.lower

    def lift(value: Any) -> Any:
        if not value.of.option:
            return None
        inner = lift_one(value.of.option.contents)
        return (inner,) if is_nested else inner

    def lower(inner: Any, value: Any) -> None:
        if inner is None:
            value.of.option = None
        else:
            value.of.option = _boxed(inner[0] if is_nested else inner, lower_one)
        value.kind = tag

    return Codec(lift, lower)


def _result(ok: Codec | None, err: Codec | None) -> Codec:
    tag = ffi.WASMTIME_COMPONENT_RESULT.value

    def lift(value: Any) -> tuple[bool, Any]:
        result = value.of.result
        case = ok if result.is_ok else err
        return result.is_ok, None if case is None else case.lift(result.val.contents)

    def lower(pair: tuple[bool, Any], value: Any) -> None:
        is_ok, payload = pair
        case = ok if is_ok else err
        value.of.result.val = None if case is None else _boxed(payload, case.lower)
        value.of.result.is_ok = is_ok
        value.kind = tag

    return Codec(lift, lower)


def _lift_resource(value: Any) -> Any:
    return ffi.wasmtime_component_resource_any_clone(value.of.resource)


def _lower_resource(resource: Any, value: Any) -> None:
    value.of.resource = ffi.wasmtime_component_resource_any_clone(resource)
    value.kind = ffi.WASMTIME_COMPONENT_RESOURCE.value


def _refuse(*_: Any) -> Any:
    raise TypeError('a handle cannot be passed in this direction')


class Signature:
    """The parameters and the result of a function."""

    def __init__(self, kind: Any):
        self.parameters = [codec(parameter) for _, parameter in kind.params]
        self.result = kind.result and codec(kind.result)


class Trap(Exception):
    """A call ended in the middle. Its instance must not be called again."""


# What an import of this thread raised.
_raised = threading.local()


def message_of(error: Any) -> str:
    """The text of an error of wasmtime, which is freed."""
    text = ffi.wasm_byte_vec_t()
    ffi.wasmtime_error_message(error, byref(text))
    message = bytes(string_at(text.data, text.size)).decode(errors='replace')
    ffi.wasm_byte_vec_delete(byref(text))
    ffi.wasmtime_error_delete(error)
    return message


def call(context: Any, function: Any, signature: Signature, arguments: tuple[Any, ...]) -> Any:
    """Calls a function of an instance. Raises Trap if the call did not return."""
    parameters = signature.parameters
    values = (ffi.wasmtime_component_val_t * len(parameters))()
    lowered = 0
    try:
        for parameter, argument, value in zip(parameters, arguments, values, strict=True):
            parameter.lower(argument, value)
            lowered += 1
        result = ffi.wasmtime_component_val_t()
        of = signature.result
        error = ffi.wasmtime_component_func_call(
            byref(function), context, values, lowered, byref(result) if of else None, 1 if of else 0)
    finally:
        for value in values[:lowered]:
            ffi.wasmtime_component_val_delete(byref(value))
    if error:
        trap = Trap(message_of(error))
        cause, _raised.error = getattr(_raised, 'error', None), None
        if cause is not None and not isinstance(cause, Exception):
            # For example SystemExit, raised by a signal handler while an import ran.
            raise cause
        raise trap from cause
    if of is None:
        return None
    try:
        return of.lift(result)
    finally:
        ffi.wasmtime_component_val_delete(byref(result))


_NO_FINALIZER = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))


def define(linker: Any, name: str, kind: Any, function: Callable[..., Any]) -> Any:
    """Defines an import. `function` must not raise: if it does, the call traps. Returns what has to be kept as long as the
    linker."""
    signature = Signature(kind)
    lifts, of = [parameter.lift for parameter in signature.parameters], signature.result

    def called(_data: Any, _context: Any, _kind: Any, arguments: Any, _count: Any, results: Any, _results: Any) -> int:
        try:
            answer = function(*[lift(arguments[i]) for i, lift in enumerate(lifts)])
            if of is not None:
                # Written as a whole, so that a failed conversion leaves nothing half done.
                value = ffi.wasmtime_component_val_t()
                of.lower(answer, value)
                memmove(results, byref(value), _VALUE)
            return 0
        except BaseException as error:
            _raised.error = error
            text = f'{name}: {type(error).__name__}'.encode()
            trap = ffi.wasmtime_error_new(ctypes.create_string_buffer(text))
            return ctypes.cast(trap, ctypes.c_void_p).value or 0

    callback = ffi.wasmtime_component_func_callback_t(called)
    encoded = name.encode()
    error = ffi.wasmtime_component_linker_instance_add_func(
        linker.ptr(), ctypes.create_string_buffer(encoded), len(encoded), callback, None, _NO_FINALIZER)
    if error:
        raise RuntimeError(message_of(error))
    return callback
