"""The settings of all sessions: the keys, defaults and rules of `lemon.ini`."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from typing import Any, Literal, get_args

from .errors import InvalidSettings

Secure = Literal['auto', 'on', 'off']
SameSite = Literal['strict', 'lax', 'none']
MaxSessionsReached = Literal['end-oldest', 'refuse']
CacheLimiter = Literal['nocache', 'private', 'public', 'none']
ClientAddress = Literal['none', 'network', 'full']
Grant = Literal['none', 'owners', 'all']

_MOST = 2**32 - 1
_MOST_SESSIONS = 1000
_MOST_BYTES = 256 * 1024 * 1024
_LONGEST_LIFETIME = 400 * 24 * 60 * 60
# 4096 bytes for name and value together: the value is an id, a dot and a mark.
_LONGEST_COOKIE_NAME = 4096 - 43 - 1 - 4
_LONGEST_ATTRIBUTE = 1024

logger = logging.getLogger('lemon_session_host')


@dataclass(frozen=True, kw_only=True)
class CookieSettings:
    """The defaults of the cookie: the section `[session.cookie]` of `lemon.ini`."""

    name: str | None = None
    """The cookie's name. None: the application's name."""
    path: str = '/'
    """`Path`."""
    domain: str = ''
    """`Domain`. Empty: this host alone."""
    secure: Secure = 'auto'
    """`Secure`: if the request came over HTTPS, always or never."""
    http_only: bool = True
    """`HttpOnly`."""
    same_site: SameSite = 'lax'
    """`SameSite`."""
    partitioned: bool = False
    """`Partitioned`."""
    lifetime: int | None = None
    """`Max-Age` in seconds; 0: until the browser closes. None: follows `expires`."""
    comment: str = ''
    """`Comment`. Empty: none."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a session may contain: the section `[session.limits]` of `lemon.ini`."""

    key_length: int = 32
    """Characters of a variable's name."""
    app_length: int = 255
    """Characters of an application's name."""
    variables: int = 1000
    """Variables of one application in one session."""
    value_bytes: int = 1024 * 1024
    """Bytes of one value, as stored."""
    session_bytes: int = 4 * 1024 * 1024
    """Bytes of all names and values of one session."""
    header_bytes: int = 16 * 1024
    """Bytes of a request's Cookie fields together."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The defaults and limits of all sessions: the section `[session]` of `lemon.ini`. Times are in seconds. Settings that
    are impossible raise InvalidSettings."""

    app: str = 'session'
    """The application of a start that gives none."""
    expires: int = 24 * 60
    """The idle time: how long a session lasts after its last use."""
    max_lifetime: int = 30 * 24 * 60 * 60
    """How long a session lasts however often it is used. 0: no such limit."""
    max_expires: int = 0
    """The longest idle time that can be given to a session. 0: as long as the absolute expiry allows."""
    login_lifetime: int = 0
    """How long a session lasts whose owner has logged in, counted from the login, in place of `max_lifetime`. 0: a login has
    none of its own."""
    max_sessions: int = 0
    """The most live sessions of one owner, counted at each login. 0: no such limit."""
    max_sessions_reached: MaxSessionsReached = 'end-oldest'
    """What a login does when its owner has `max_sessions` already: `end-oldest` ends the one whose login is the oldest, and
    `refuse` has the save fail with TooMany."""
    rolling: bool = True
    """Whether the idle time starts anew with each use. If not, it counts from the creation."""
    touch_after: int | None = None
    """How much of the idle time may pass before a use is stored. None: a twentieth of `expires`."""
    renew_after: int = 0
    """How old an id may become before it is rotated. 0: ids are not rotated."""
    renew_grace: int = 60
    """How long the old id of such a rotation still leads to the session."""
    remember_ended: int = 24 * 60 * 60
    """How long the tombstone of an ended session is kept. 0: none is kept."""
    lazy: bool = False
    """Whether a session is stored, and its cookie sent, only once it has a variable or an owner."""
    strict: bool = False
    """The default of the parameter `strict`."""
    seal: bool = False
    """Whether values are sealed: encrypted so that only the visitor's cookie opens them."""
    client_address: ClientAddress = 'none'
    """How much of the client's address is kept when a session begins and when its owner logs in: nothing, its network, or
    all ('full')."""
    client_user_agent: int = 0
    """How many characters of the client's User-Agent are kept then, at most 1024. 0: none."""
    device_bound: int = 0
    """How long the bound cookie is valid that a session needs once a browser has bound it to its device. 0: browsers are not asked
    to. This package does not answer their requests, so leave it at 0."""
    cleanup: float = 0.01
    """The default of the parameter `cleanup`."""
    seed: str = ''
    """The default of the parameter `seed`."""
    cache_limiter: CacheLimiter = 'nocache'
    """The default of the parameter `cache_limiter`."""
    cache_expire: int = 180 * 60
    """How long the cache limiters `private` and `public` let a response be stored."""
    cookie: CookieSettings = field(default_factory=CookieSettings)
    """The cookie."""
    limits: Limits = field(default_factory=Limits)
    """The limits."""
    reserved: Mapping[str, str] = field(default_factory=dict)
    """The names reserved in every session, each with the SHA-256 hash, in hexadecimal, of the secret that it requires."""
    manager: Grant = 'all'
    """What may be called of the manager. In `lemon.ini` the default is `owners`, because an application of WebAssembly is
    less trusted than its host; here the application is the host."""

    def __post_init__(self) -> None:
        problems = _types('session', self)
        problems = problems or [*_types('session.cookie', self.cookie), *_types('session.limits', self.limits)]
        problems = problems or [*_session(self), *_cookie(self), *_limits(self.limits), *_reserved(self)]
        if problems:
            raise InvalidSettings(problems)

    @classmethod
    def of(cls, **settings: Any) -> 'Settings':
        """Settings whose cookie and limits are dictionaries."""
        try:
            for name, section in (('cookie', CookieSettings), ('limits', Limits)):
                if isinstance(settings.get(name), Mapping):
                    settings[name] = section(**settings[name])
            return cls(**settings)
        except TypeError as error:
            # "… got an unexpected keyword argument 'expire'"
            unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            if unknown is None:
                raise
            raise InvalidSettings([f'there is no setting {unknown[1]!r}; those of lemon.ini are spelled with _']) from None

    @classmethod
    def read(cls, path: 'str | PathLike[str]') -> 'Settings':
        """Reads the sections of sessions in a `lemon.ini`, so that servers in Python and `lemon-session serve` have the same
        settings. The sections of stores and of the server are ignored."""
        return _of_ini(path)


def _types(section: str, settings: Any) -> list[str]:
    """What is not of the type that a field has."""
    problems = []
    for one in fields(settings):
        value, kind, choices = getattr(settings, one.name), one.type, get_args(one.type)
        if type(None) in choices:
            if value is None:
                continue
            kind, choices = choices[0], ()
        if kind is int:
            is_right, right = type(value) is int and 0 <= value <= _MOST, f'a whole number from 0 to {_MOST}'
        elif kind is float:
            is_right, right = type(value) in (int, float), 'a number from 0 to 1, such as 0.01'
        elif kind is bool:
            is_right, right = type(value) is bool, 'True or False'
        elif kind is str:
            is_right, right = type(value) is str, 'text'
        elif one.name == 'reserved':
            is_right = isinstance(value, Mapping) and all(type(text) is str for pair in value.items() for text in pair)
            right = 'a dictionary of names and hashes'
        elif choices:
            is_right, right = value in choices, f'one of {", ".join(choices)}'
        else:
            is_right, right = isinstance(value, (CookieSettings, Limits)), 'a dictionary of settings'
        if not is_right:
            problems.append(f'[{section}] {one.name.replace("_", "-")}: {value!r} is not {right}')
    return problems


def _session(s: Settings) -> list[str]:
    problems = []
    if why := _name("the application's name", s.app, s.limits.app_length):
        problems.append(f'[session] app: {why}')
    if s.expires == 0:
        problems.append('[session] expires: a session lasts at least 1 second')
    for name, most in (('max-lifetime', s.max_lifetime), ('max-expires', s.max_expires)):
        if most and s.expires > most:
            problems.append(f'[session] expires: {s.expires} seconds are more than {name} allows, {most}; raise that or set '
                            'it to 0')
    if s.max_sessions > _MOST_SESSIONS:
        problems.append(f'[session] max-sessions: {s.max_sessions} is more than {_MOST_SESSIONS}; 0 means no limit')
    if s.touch_after is not None and s.touch_after > s.expires:
        problems.append(f'[session] touch-after: {s.touch_after} seconds are more than expires, {s.expires}, of which it is a '
                        'part')
    if s.renew_after and s.renew_grace > s.renew_after:
        problems.append(f'[session] renew-grace: {s.renew_grace} seconds are more than renew-after, {s.renew_after}; a minute '
                        'is enough for one page')
    if s.client_user_agent > 1024:
        problems.append(f'[session] client-user-agent: {s.client_user_agent} characters; at most 1024 are kept')
    if not 0 <= s.cleanup <= 1:
        problems.append(f'[session] cleanup: {s.cleanup} is not a probability: 1 means always, 0 never, 0.01 one start in a '
                        'hundred')
    return problems


def _name(what: str, name: str, limit: int) -> str | None:
    """Why a name is not possible, if it is not."""
    if not name:
        return f'{what} is empty; it must have 1 to {limit} characters'
    if len(name) > limit:
        return f'{what} has {len(name)} characters; the limit is {limit}'
    if re.search('[\0-\x1f\x7f-\x9f]', name):
        return f'{what} contains a control character, which no name may contain'
    return None


def _shown(text: str) -> str:
    return re.sub('[\0-\x1f\x7f-\x9f]', '\ufffd', text[:64])


def _is_attribute(value: str) -> bool:
    return len(value) <= _LONGEST_ATTRIBUTE and re.fullmatch('[ -:<-~]*', value) is not None


def _cookie(s: Settings) -> list[str]:
    cookie, secure, problems = s.cookie, s.cookie.secure == 'on', []

    def that(is_met: object, key: str, message: str) -> None:
        if not is_met:
            problems.append(f'[session.cookie] {key}: {message}')

    name = s.app if cookie.name is None else cookie.name
    that(re.fullmatch(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+", name), 'name',
         f"the application's name '{_shown(name)}' cannot name a cookie; give the cookie a name of its own"
         if cookie.name is None else
         f"'{_shown(name)}' cannot name a cookie; use letters, digits and !#$%&'*+-.^_`|~")
    length = len(name.encode())
    that(length <= _LONGEST_COOKIE_NAME, 'name', f"{length} bytes; a cookie's name has at most {_LONGEST_COOKIE_NAME}")
    is_host = secure and cookie.path == '/' and not cookie.domain
    for prefix, is_met, demand in (
        ('__host-http-', is_host and cookie.http_only, 'secure is on, http-only is true, path is / and domain is empty'),
        ('__host-', is_host, 'secure is on, path is / and domain is empty'),
        ('__http-', secure and cookie.http_only, 'secure is on and http-only is true'),
        ('__secure-', secure, 'secure is on'),
    ):
        if name.lower().startswith(prefix):
            that(is_met, 'name', f"browsers refuse '{_shown(name)}' unless {demand}")
            break
    that(cookie.path.startswith('/') and _is_attribute(cookie.path), 'path',
         f"'{_shown(cookie.path)}' is not a path: it begins with / and has at most {_LONGEST_ATTRIBUTE} printable ASCII "
         'characters without ;')
    label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
    is_host_name = len(cookie.domain) <= 253 and re.fullmatch(rf'\.?{label}(\.{label})*', cookie.domain)
    that(not cookie.domain or is_host_name, 'domain',
         f"'{_shown(cookie.domain)}' is not the name of a host, as example.org is; leave it empty for this host alone")
    that(_is_attribute(cookie.comment), 'comment',
         f"'{_shown(cookie.comment)}' is not a comment: at most {_LONGEST_ATTRIBUTE} printable ASCII characters without ;")
    that((cookie.lifetime or 0) <= _LONGEST_LIFETIME, 'lifetime',
         f'at most {_LONGEST_LIFETIME} seconds (400 days), after which browsers end any cookie')
    for key, needs, what in (('same-site', cookie.same_site == 'none', 'SameSite=None'),
                             ('partitioned', cookie.partitioned, 'Partitioned')):
        that(secure or not needs, key,
             f'browsers refuse {what} without Secure: serve the page over HTTPS and set secure to on')
    return problems


def _limits(limits: Limits) -> list[str]:
    problems = []

    def that(is_met: bool, key: str, message: str) -> None:
        if not is_met:
            problems.append(f'[session.limits] {key}: {message}')

    for key, length in (('key-length', limits.key_length), ('app-length', limits.app_length)):
        that(1 <= length <= 255, key, f'{length} is not between 1 and 255 characters')
    that(limits.variables > 0, 'variables', '0 variables; a session holds at least 1')
    that(1 <= limits.value_bytes <= limits.session_bytes, 'value-bytes',
         f'{limits.value_bytes} is not between 1 and session-bytes, {limits.session_bytes}')
    that(1 <= limits.session_bytes <= _MOST_BYTES, 'session-bytes',
         f'{limits.session_bytes} is not between 1 and {_MOST_BYTES}')
    that(limits.header_bytes >= 256, 'header-bytes',
         f"{limits.header_bytes} is too small for a session's cookie beside others; at least 256")
    return problems


def _reserved(s: Settings) -> list[str]:
    problems = []
    for name, secret in s.reserved.items():
        if why := _name("the application's name", name, s.limits.app_length):
            problems.append(f'[session.reserved] {name}: {why}')
        if not re.fullmatch('[0-9A-Fa-f]{64}', secret):
            problems.append(f'[session.reserved] {name}: not the SHA-256 hash of a secret, 64 hexadecimal digits, as '
                            '`printf %s SECRET | sha256sum` prints it')
    return problems


# lemon.ini: a value is the rest of its line, without quotes and comments.

_UNITS = {'': 1, 's': 1, 'm': 60, 'h': 60 * 60, 'd': 24 * 60 * 60, 'ms': 0.001}
_BOOLEANS = {'true': True, 'yes': True, 'on': True, 'false': False, 'no': False, 'off': False}
_TIMES = {'expires', 'max-lifetime', 'max-expires', 'login-lifetime', 'touch-after', 'renew-after', 'renew-grace',
          'remember-ended', 'cache-expire', 'lifetime', 'device-bound'}
_SIZES = {'value-bytes', 'session-bytes', 'header-bytes'}


def _seconds(value: str) -> int:
    parts = re.fullmatch(r'(\d+(?:\.\d*)?|\.\d+) *(ms|s|m|h|d|)', value)
    seconds = float(parts[1]) * _UNITS[parts[2]] if parts else -1
    if not 0 <= seconds <= _MOST:
        raise ValueError(f'{value!r} is not a time: seconds, or a number with ms, s, m, h or d, as 24h, and at most '
                         f'{_MOST // 86_400} days')
    if seconds != int(seconds):
        raise ValueError(f'{value!r} is not a whole number of seconds')
    return int(seconds)


def _bytes(value: str) -> int:
    parts = re.fullmatch(r'(\d+) *([KM]?)', value)
    size = int(parts[1]) * {'': 1, 'K': 1024, 'M': 1024 * 1024}[parts[2]] if parts else -1
    if not 0 <= size <= _MOST:
        raise ValueError(f'{value!r} is not a size: bytes, or a number with K or M, as 64K, and less than 4096M')
    return size


def _boolean(value: str) -> bool:
    if value.lower() not in _BOOLEANS:
        raise ValueError(f'{value!r} is not one of {", ".join(_BOOLEANS)}')
    return _BOOLEANS[value.lower()]


def _number(value: str) -> int:
    if not re.fullmatch(r'\d+', value) or int(value) > _MOST:
        raise ValueError(f'{value!r} is not a whole number from 0 to {_MOST}')
    return int(value)


def _probability(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f'{value!r} is not a number from 0 to 1, such as 0.01') from None


def _parser(key: str, kind: Any) -> Callable[[str], Any]:
    if key in _TIMES:
        parse: Callable[[str], Any] = _seconds
    elif key in _SIZES:
        parse = _bytes
    elif kind is bool:
        parse = _boolean
    elif kind is int:
        parse = _number
    elif kind is float:
        parse = _probability
    elif kind in (str, str | None):
        parse = str
    else:
        parse = str.lower
    is_optional = type(None) in get_args(kind)
    return lambda value: None if is_optional and not value else parse(value)


def _of_ini(path: 'str | PathLike[str]') -> Settings:
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if not line or line[0] in '#;':
                continue
            if line.startswith('[') and line.endswith(']'):
                section = sections.setdefault(line[1:-1].strip(), {})
                continue
            key, equals, value = line.partition('=')
            if not equals:
                raise InvalidSettings([f'{path}, line {number}: {line!r} is not KEY = VALUE'])
            section[key.strip()] = value.strip()

    problems: list[str] = []

    def read(name: str, kind: Any, ignored: set[str]) -> dict[str, Any]:
        parsers = {one.name.replace('_', '-'): _parser(one.name.replace('_', '-'), one.type) for one in fields(kind)
                   if one.name not in ('cookie', 'limits', 'reserved')}
        values = {}
        for key, value in sections.get(name, {}).items():
            if key in ignored:
                continue
            if key not in parsers:
                problems.append(f'[{name}] {key}: there is no such setting')
                continue
            try:
                values[key.replace('-', '_')] = parsers[key](value)
            except ValueError as error:
                problems.append(f'[{name}] {key}: {error}')
        return values

    if sections.get('session.limits', {}).get('new-sessions', '0') != '0':
        logger.warning('new-sessions in %s has no effect here: limit new visitors in the server in front', path)
    settings = read('session', Settings, set())
    cookie = read('session.cookie', CookieSettings, set())
    limits = read('session.limits', Limits, {'new-sessions'})
    if problems:
        raise InvalidSettings(problems)
    return Settings(**settings, cookie=CookieSettings(**cookie), limits=Limits(**limits),
                    reserved=sections.get('session.reserved', {}))


def as_record(s: Settings) -> tuple[Any, ...]:
    """The record `defaults` of lemon:session/settings."""
    cookie = tuple(getattr(s.cookie, one.name) for one in fields(s.cookie))
    limits = tuple(getattr(s.limits, one.name) for one in fields(s.limits))
    return (s.app, s.expires, s.max_lifetime, s.max_expires, s.login_lifetime, s.max_sessions, s.max_sessions_reached,
            s.rolling, s.touch_after, s.renew_after, s.renew_grace, s.remember_ended, s.lazy, s.strict, s.seal,
            s.client_address, s.client_user_agent, s.device_bound, float(s.cleanup), s.seed, s.cache_limiter,
            s.cache_expire, cookie, limits, list(s.reserved.items()))


def as_environment(s: Settings) -> list[tuple[str, str]]:
    """The variables that a provider reads, one for each key of `lemon.ini`."""
    def text(value: Any) -> str:
        return '' if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    variables = []
    for prefix, section in (('', s), ('COOKIE_', s.cookie), ('LIMITS_', s.limits)):
        for one in fields(section):
            if one.name not in ('cookie', 'limits', 'reserved'):
                variables.append((f'LEMON_SESSION_{prefix}{one.name.upper()}', text(getattr(section, one.name))))
    variables.append(('LEMON_SESSION_RESERVED', ','.join(f'{name}={secret}' for name, secret in s.reserved.items())))
    return variables


