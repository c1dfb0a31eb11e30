"""Plain data of Python and the values of sessions, by the conventions of the module `lemon_session` for applications."""

import json
from typing import Any

from .errors import Error, InvalidName, InvalidValue

_PLAIN = 'a variable must be None, a bool, int, float, str, bytes, list or dict'
# The levels of nesting that the modules for all languages can read.
_DEPTH = 127


def text(what: str, value: object, error: type[Error] = InvalidName) -> str:
    """Checks a str that UTF-8 can encode."""
    if not isinstance(value, str):
        raise error(f'{what} must be a str, not {type(value).__name__}')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise error(f'{what} contains half of a surrogate pair, which UTF-8 cannot encode') from None
    return value


def variable(key: object) -> str:
    """Checks a variable's name."""
    return text("a variable's name", key)


def of_plain(key: str, value: object) -> tuple[str, Any]:
    """Converts plain data to a session value: its case and content."""
    try:
        kind = type(value)
        if value is None:
            return 'null', None
        if kind is bool:
            return 'boolean', value
        if kind is float:
            return 'real', value
        if kind is bytes:
            return 'bytes', value
        _check(value, 0)
        if kind is int:
            return 'integer', value
        if kind is str:
            return 'text', value
        return 'json', json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(',', ':'))
    except ValueError as error:
        raise InvalidValue(f'{key}: {error}') from None


def to_plain(value: tuple[str, Any]) -> Any:
    """Converts a session value to plain data."""
    case, content = value
    return json.loads(content) if case == 'json' else content


def _check(value: Any, depth: int) -> None:
    """Refuses data that would not be read back unchanged: json.dumps turns tuples into lists, and keys into text."""
    kind = type(value)
    if value is None or kind is bool:
        return
    if kind is int:
        if not -2**63 <= value < 2**63:
            raise ValueError('int out of range: it must be from -2**63 to 2**63-1; store larger numbers as str')
    elif kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError('a str contains half of a surrogate pair, which UTF-8 cannot encode') from None
    elif kind is float:
        if value != value or value in (float('inf'), float('-inf')):
            raise ValueError('a float inside a list or dict is infinite or NaN, which JSON cannot express')
    elif kind is bytes:
        raise ValueError('JSON cannot express bytes inside a list or dict; store them in a separate variable')
    elif kind is not list and kind is not dict:
        raise ValueError(f'{kind.__name__} cannot be stored: {_PLAIN}')
    elif depth == _DEPTH:
        raise ValueError(f'lists and dicts are nested deeper than {_DEPTH} levels, or contain themselves')
    elif kind is list:
        for one in value:
            _check(one, depth + 1)
    else:
        for name, one in value.items():
            if type(name) is not str:
                raise ValueError(f'keys must be str, not {type(name).__name__}')
            _check(name, depth)
            _check(one, depth + 1)
