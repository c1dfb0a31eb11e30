"""How the headers of a session join those of a response, and what a request gets whose session failed."""

import logging
from collections.abc import Iterable
from http import HTTPStatus

from .errors import Error
from .session import Header

logger = logging.getLogger('lemon_session_host')


def merged(theirs: Iterable[Header], ours: Iterable[Header]) -> list[Header]:
    """The headers of a response with those of its session: the response's Cache-Control takes precedence, unless a cookie
    is set, and its Vary is extended."""
    headers, ours = list(theirs), list(ours)
    sets_cookie = any(name == 'set-cookie' for name, _ in ours)
    for name, value in ours:
        there = [other for key, other in headers if key.lower() == name]
        if there and name == 'cache-control':
            # No cache may store a response that sets a cookie.
            if sets_cookie:
                headers = [header for header in headers if header[0].lower() != name] + [('Cache-Control', value)]
        elif there and name == 'vary':
            names = [one.strip().lower() for other in there for one in other.split(',')]
            if '*' not in names and value.lower() not in names:
                headers = [header for header in headers if header[0].lower() != name]
                headers.append(('Vary', ', '.join([*there, value])))
        # Two starts in one request can both return the same cookie.
        elif value not in there:
            headers.append((name.title(), value))
    return headers


def failure(error: Error) -> tuple[str, list[Header], bytes]:
    """The status, headers and body of the response to a request whose session failed. What a store says is only logged."""
    status = HTTPStatus(error.status)
    if error.status >= 500:
        logger.error('a request failed: %s: %s', type(error).__name__, error)
        text = status.phrase
    else:
        text = f'{type(error).__name__}: {error}'
    body = f'{text}\n'.encode()
    headers = [('Content-Type', 'text/plain; charset=utf-8'), ('Content-Length', str(len(body))),
               ('Cache-Control', 'no-store')]
    return f'{status.value} {status.phrase}', headers, body
