"""An engine for the sessions of Django, and the middleware that sends their cookie. In the settings of a project:

    SESSION_ENGINE = 'lemon_session_host.django'
    LEMON_SESSION = {'storage': 'sqlite:sessions.db', 'app': 'shop', 'cookie': {'name': 'site'}}

and in MIDDLEWARE, `lemon_session_host.django.SessionMiddleware` in place of
`django.contrib.sessions.middleware.SessionMiddleware`.

`LEMON_SESSION` has `storage`, `table`, `tables`, `stores`, `create_tables` and `storage_options` as `Sessions` takes them,
and the settings of sessions; or `ini`, the path of a `lemon.ini` with these. Django's own settings of the session and its
cookie (`SESSION_COOKIE_…`) have no effect, because the rules of a session are those of the component, for all its pages.

Each key of `request.session` is a variable of the session, so pages in other languages can read it. A save writes the keys
that this request changed and keeps what others changed meanwhile. Django's serializer is not used: a value is plain data,
and anything else is refused rather than altered. The user who logs in becomes the session's owner.
"""

from functools import lru_cache
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from . import values
from .errors import Error, Gone, InvalidSettings
from .responses import failure, merged
from .session import Session
from .sessions import Sessions
from .settings import Settings

_USER = '_auth_user_id'
_EXPIRY = '_session_expiry'


class SessionGone(Gone, UpdateError):
    """The session has ended: Gone, as Django's callers of save expect it."""


@lru_cache(maxsize=1)
def sessions() -> Sessions:
    """The sessions that `LEMON_SESSION` describes."""
    given = dict(getattr(settings, 'LEMON_SESSION', {}))
    storage = {name: given.pop(name) for name in ('table', 'tables', 'stores', 'create_tables') if name in given}
    url, options, ini = given.pop('storage', 'sqlite:sessions.db'), given.pop('storage_options', {}), given.pop('ini', None)
    try:
        if ini is not None and given:
            raise InvalidSettings([f'beside ini, there cannot be {", ".join(given)}'])
        return Sessions(url, Settings.of(**given) if ini is None else Settings.read(ini), **storage, **options)
    except (ValueError, TypeError) as error:
        raise ImproperlyConfigured(f'LEMON_SESSION: {error}') from error


def _forget(*, setting: str, **_: Any) -> None:
    if setting == 'LEMON_SESSION':
        sessions.cache_clear()


setting_changed.connect(_forget)


class SessionStore(SessionBase):
    """A session of Django, as `request.session`."""

    def __init__(self, session_key: str | None = None, request: HttpRequest | None = None):
        super().__init__(session_key)
        self._request = request
        self._session_object: Session | None = None
        # The variables as they are stored, and their expiry by set_expiry.
        self._stored: dict[str, tuple[str, Any]] = {}
        self._given_expiry: Any = None
        self._is_cleared = self._rotates = self._is_fresh = False
        self.lemon_headers: list[tuple[str, str]] = []
        """The headers to send with the response."""

    @classmethod
    def of_request(cls, request: HttpRequest) -> 'SessionStore':
        """The session of a request, which starts when it is first used."""
        configured = sessions().settings
        return cls(request.COOKIES.get(configured.cookie.name or configured.app), request)

    @property
    def lemon(self) -> Session:
        """The session itself, for what Django's interface does not have: `owner`, `destroy_others`, `application`…"""
        if self._session_object is None:
            self._begin()
        assert self._session_object is not None
        return self._session_object

    def _begin(self) -> None:
        """Starts the session, with the expiry that was given to it."""
        options: dict[str, Any] = {}
        if self._given_expiry == 0:
            options['cookie'] = {'lifetime': 0}
        elif self._given_expiry is not None:
            seconds = max(1, int(self.get_expiry_age(expiry=self._given_expiry)))
            options |= {'expires': seconds, 'cookie': {'lifetime': seconds}}
        if self._request is None:
            options['session_id'] = '' if self._is_fresh else self.session_key or ''
        request: Any = self._request
        if request is not None and self._is_fresh:
            # The cookie is that of a session that has ended.
            request = {'wsgi.url_scheme': 'https' if request.is_secure() else 'http'}
        self.close()
        self._session_object = sessions().start(request, **options)

    def close(self) -> None:
        """Discards what was not saved."""
        if self._session_object is not None:
            self._session_object.close()
            self._session_object = None

    def _variables(self, no_load: bool = False) -> dict[str, Any]:
        base: Any = self
        variables: dict[str, Any] = base._get_session(no_load)
        return variables

    def load(self) -> dict[str, Any]:
        session = self.lemon
        if session.created():
            self._session_key = None
            return {}
        self._session_key = session.id()
        loaded = dict(session.entries())
        self._stored = {key: values.of_plain(key, value) for key, value in loaded.items()}
        if loaded.get(_EXPIRY) != self._given_expiry:
            self._given_expiry = loaded.get(_EXPIRY)
            self._begin()
        return loaded

    def save(self, must_create: bool = False) -> None:
        data = self._variables(no_load=must_create)
        if must_create:
            self._end()
        if data.get(_EXPIRY) != self._given_expiry:
            self._given_expiry = data.get(_EXPIRY)
            self._begin()
        session = self.lemon
        if must_create and not session.created():
            raise CreateError
        if self._is_cleared:
            session.clear()
            self._stored = {}
        if self._rotates:
            session.regenerate_id()
        for key in self._stored.keys() - data.keys():
            session.delete(key)
        changed = {key: values.of_plain(key, value) for key, value in data.items()}
        for key, value in changed.items():
            if self._stored.get(key) != value:
                session[key] = data[key]
        if changed.get(_USER) != self._stored.get(_USER):
            session.set_owner(str(data[_USER]) if _USER in data else None)
        self._send()
        self._stored, self._is_cleared, self._rotates = changed, False, False

    def _send(self) -> None:
        session = self.lemon
        try:
            self.lemon_headers += session.save()
        except Gone as error:
            raise SessionGone(str(error)) from error
        self._session_key, self._is_fresh = session.id(), False

    def touch(self) -> None:
        """Keeps a session alive that was only read."""
        if self.session_key is not None:
            self._send()

    def create(self) -> None:
        self.save(must_create=True)
        self.modified = True

    def clear(self) -> None:
        super().clear()
        self._is_cleared = True

    def cycle_key(self) -> None:
        self._variables()
        self._rotates = self.modified = True

    def delete(self, session_key: str | None = None) -> None:
        if session_key is not None and session_key != self.session_key:
            other = sessions().start(session_id=session_key)
            if not other.created():
                other.destroy()
            other.close()
        elif self.session_key is not None:
            self.lemon_headers = self.lemon.destroy()
            self._end()

    def _end(self) -> None:
        """The next save stores a new session."""
        self.close()
        self._session_key, self._stored, self._given_expiry = None, {}, None
        self._is_cleared, self._rotates, self._is_fresh = False, False, True

    def exists(self, session_key: str) -> bool:
        session = sessions().start(session_id=session_key)
        found = not session.created()
        session.close()
        return found

    @classmethod
    def clear_expired(cls) -> None:
        while sessions().manager().cleanup(10_000) == 10_000:
            pass

    def get_session_cookie_age(self) -> int:
        return sessions().settings.expires


class SessionMiddleware(DjangoMiddleware):
    """Gives each request its session and saves it before the response is sent, unless that has a status of 500 or more.
    A session that fails is answered with the status of its error."""

    def __init__(self, get_response: Any):
        if settings.SESSION_ENGINE != __name__:
            raise ImproperlyConfigured(f"SESSION_ENGINE must be '{__name__}' for the middleware {__name__}.SessionMiddleware")
        # Mistakes in the settings are found now.
        sessions()
        super().__init__(get_response)

    def process_request(self, request: HttpRequest) -> None:
        request.session = SessionStore.of_request(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return _failure(exception) if isinstance(exception, Error) else None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        session = getattr(request, 'session', None)
        if not isinstance(session, SessionStore):
            return response
        try:
            # A new session without anything in it is not stored.
            if session.accessed and response.status_code < 500 and not session.is_empty():
                session.save() if session.modified else session.touch()
        except Error as error:
            response = _failure(error)
        finally:
            session.close()
        _send(response, session.lemon_headers)
        if session.accessed:
            patch_vary_headers(response, ('Cookie',))
        return response


def _failure(error: Error) -> HttpResponse:
    status, headers, body = failure(error)
    response = HttpResponse(body, status=int(status[:3]))
    for name, value in headers:
        response[name] = value
    return response


class _SentCookie(Morsel):  # type: ignore[type-arg]
    """A cookie that is sent as the component wrote it."""

    sent = ''

    def OutputString(self, attrs: Any = None) -> str:
        return self.sent


def _send(response: HttpResponseBase, headers: list[tuple[str, str]]) -> None:
    for name, value in merged(response.items(), headers):
        if name.lower() != 'set-cookie':
            response[name] = value
    for _, value in (header for header in headers if header[0] == 'set-cookie'):
        key, _, rest = value.partition('=')
        cookie = _SentCookie()
        content = rest.partition(';')[0]
        cookie.set(key, content, content)
        cookie.sent = value
        # For Django's test client, which keeps a cookie until its Max-Age is 0.
        try:
            parsed = SimpleCookie(value).get(key)
        except CookieError:
            parsed = None
        if parsed is not None:
            cookie.update({name: one for name, one in parsed.items() if one})
        response.cookies[key] = cookie

