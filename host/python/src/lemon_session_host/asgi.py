"""Sessions around an application of ASGI, such as one of Starlette or FastAPI, on asyncio."""

import asyncio
from collections.abc import Callable
from typing import Any

from .errors import Error
from .responses import failure, merged
from .session import Session
from .sessions import Sessions

KEY = 'lemon.session'

# The messages that carry the headers of a response.
_STARTS = {'http.response.start', 'websocket.accept'}


class Middleware:
    """Gives each request a session in `scope['lemon.session']` and `scope['session']`, and saves it before the response
    starts. A response with a status of 500 or more discards the changes. A session that cannot be saved is answered with
    the status of its error, in place of the application's response.

    What waits for the store runs in a thread: the start of the session of a visitor who has a cookie, before the
    application is called, and the save. Variables are in memory then, apart from values of more than 8192 bytes: read
    those with `await asyncio.to_thread(session.get, name)`. The session of a WebSocket is closed once the WebSocket is
    accepted.
    """

    def __init__(self, sessions: Sessions, application: Callable[..., Any], **options: Any):
        # Mistakes in the options are found now.
        sessions.lazily(None, **options)
        self._sessions, self._application, self._options = sessions, application, options

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope['type'] not in ('http', 'websocket'):
            await self._application(scope, receive, send)
            return
        session = self._sessions.lazily(scope, **self._options)
        response = _Response(scope['type'], session, send)
        is_cancelled = False
        try:
            if any(name == b'cookie' for name, _ in scope['headers']):
                await asyncio.to_thread(session.preload)
            await self._application({**scope, KEY: session, 'session': session}, receive, response.send)
        except Error as error:
            if response.has_started:
                raise
            await response.fail(error)
        except asyncio.CancelledError:
            is_cancelled = True
            raise
        finally:
            if is_cancelled:
                # A thread may still be saving it.
                asyncio.get_running_loop().run_in_executor(None, session.close)
            else:
                session.close()


class _Response:
    """The response of one request."""

    def __init__(self, kind: str, session: Session, send: Callable[..., Any]):
        self._kind, self._session, self._send = kind, session, send
        self.has_started = self._has_failed = False

    async def send(self, message: dict[str, Any]) -> None:
        if self._has_failed:
            # Belongs to the response that the error has replaced.
            return
        if message['type'] not in _STARTS:
            await self._send(message)
            return
        session = self._session
        if session.is_used and message.get('status', 200) < 500 and not session.has_ended:
            try:
                await asyncio.to_thread(session.save)
            except Error as error:
                await self.fail(error)
                return
        theirs = [(name.decode('latin-1'), value.decode('latin-1')) for name, value in message.get('headers', [])]
        self.has_started = True
        if self._kind == 'websocket':
            session.close()
        await self._send({**message, 'headers': _bytes(merged(theirs, session.headers))})

    async def fail(self, error: Error) -> None:
        """Answers with an error."""
        self.has_started = self._has_failed = True
        status, headers, body = failure(error)
        if self._kind == 'websocket':
            # Before it is accepted, this is a response with 403.
            await self._send({'type': 'websocket.close', 'code': 1011, 'reason': status})
            return
        await self._send({'type': 'http.response.start', 'status': int(status[:3]), 'headers': _bytes(headers)})
        await self._send({'type': 'http.response.body', 'body': body})


def _bytes(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode('latin-1'), value.encode('latin-1')) for name, value in headers]
