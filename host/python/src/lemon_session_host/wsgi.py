"""Sessions around an application of WSGI, such as one of Flask."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .errors import Error
from .responses import failure, merged
from .session import Header, Session
from .sessions import Sessions

KEY = 'lemon.session'


class Middleware:
    """Gives each request a session in `environ['lemon.session']`, which starts when it is first used, and saves it before
    the response starts. A response with a status of 500 or more discards the changes. A session that cannot be saved is
    answered with the status of its error, in place of the application's response."""

    def __init__(self, sessions: Sessions, application: Callable[..., Any], **options: Any):
        # Mistakes in the options are found now.
        sessions.lazily(None, **options)
        self._sessions, self._application, self._options = sessions, application, options

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        session = environ[KEY] = self._sessions.lazily(environ, **self._options)
        response = _Response(session, start_response)
        try:
            body = self._application(environ, response.start)
        except Error as error:
            session.close()
            return response.fail(error)
        except BaseException:
            session.close()
            raise
        if response.failed is not None or isinstance(body, (list, tuple)) and response.has_started:
            session.close()
            if response.failed is not None:
                _close(body)
                body = [response.failed]
            answer: Iterable[bytes] = body
            return answer
        return _Body(body, session, response)


class _Response:
    """The response of one request."""

    def __init__(self, session: Session, start_response: Callable[..., Any]):
        self._session, self._start_response = session, start_response
        self.has_started = False
        self.failed: bytes | None = None
        """The body that replaces the application's, if the session could not be saved."""

    def start(self, status: str, headers: list[Header], exc_info: Any = None) -> Callable[[bytes], Any]:
        if not self.has_started and self._session.is_used and int(status[:3]) < 500 and not self._session.has_ended:
            try:
                self._session.save()
            except Error as error:
                self.failed, = self.fail(error)
        if self.failed is not None:
            return lambda data: None
        self.has_started = True
        headers = merged(headers, self._session.headers)
        write: Callable[[bytes], Any] = (
            self._start_response(status, headers, exc_info) if exc_info else self._start_response(status, headers))
        return write

    def fail(self, error: Error) -> list[bytes]:
        """Answers with an error. Raises it if the response has started."""
        if self.has_started:
            raise error
        status, headers, body = failure(error)
        self.has_started = True
        self._start_response(status, merged(headers, self._session.headers))
        return [body]


class _Body:
    """The body of a response, whose session is closed with it."""

    def __init__(self, body: Iterable[bytes], session: Session, response: _Response):
        self._body, self._session, self._response = body, session, response

    def __iter__(self) -> Iterator[bytes]:
        response = self._response
        try:
            for part in self._body:
                if response.failed is not None:
                    break
                yield part
        except Error as error:
            yield from response.fail(error)
        if response.failed is not None:
            yield response.failed

    def close(self) -> None:
        try:
            _close(self._body)
        finally:
            self._session.close()


def _close(body: Any) -> None:
    if close := getattr(body, 'close', None):
        close()
