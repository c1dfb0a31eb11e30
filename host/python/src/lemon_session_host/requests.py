"""What a session needs of a request: of WSGI, of ASGI, or of an object that has one of them, as those of Flask, Django and
Starlette have."""

from collections.abc import Callable, Mapping
from typing import Any

from .errors import CrossSite


def _environment(request: Any) -> Mapping[str, Any]:
    """The environment of WSGI, or the scope of ASGI."""
    if isinstance(request, Mapping):
        return request
    for name in ('environ', 'META', 'scope'):
        found = getattr(request, name, None)
        if isinstance(found, Mapping):
            return found
    raise TypeError(f'{type(request).__name__} is no request: pass the environment of WSGI, or the scope of ASGI')


def cookies_and_https(request: Any) -> tuple[list[bytes], bool]:
    """The values of the Cookie fields, and whether the visitor sent the request over HTTPS.

    Whether it came over HTTPS is what the server says. Behind a proxy, the server has to be told to trust it: gunicorn by
    forwarded-allow-ips, uvicorn by proxy-headers, Django by SECURE_PROXY_SSL_HEADER, werkzeug by ProxyFix.
    """
    if request is None:
        return [], False
    environment = _environment(request)
    if 'type' in environment and 'headers' in environment:
        cookies = [bytes(value) for name, value in environment['headers'] if name.lower() == b'cookie']
        https = environment.get('scheme') in ('https', 'wss')
    else:
        cookie = environment.get('HTTP_COOKIE')
        # WSGI passes bytes as latin-1.
        cookies = [] if cookie is None else [cookie.encode('latin-1', 'replace')]
        https = environment.get('wsgi.url_scheme') == 'https' or str(environment.get('HTTPS', '')).lower() in ('on', '1')
    is_secure = getattr(request, 'is_secure', None)
    # Django's depends on its settings; werkzeug and Flask have an attribute of that name.
    return cookies, https or bool(is_secure() if callable(is_secure) else is_secure)


# The address and the User-Agent of a client, each if it is known.
Client = tuple[str | None, str | None]
NO_CLIENT: Client = (None, None)


def client(request: Any) -> Client:
    """The client as the server knows it. Behind a proxy, the server has to be told to trust it."""
    if request is None:
        return NO_CLIENT
    environment = _environment(request)
    _, header = _sent(environment)
    agents = header('user-agent')
    if 'type' in environment and 'headers' in environment:
        peer = environment.get('client')
        address = peer[0] if peer else None
    else:
        address = environment.get('REMOTE_ADDR')
    return address or None, agents[0] if agents else None


def check_same_origin(request: Any) -> None:
    """Raises CrossSite for a request that another site made the visitor's browser send, for example a forged form that
    logs the visitor in or changes the visitor's data (CSRF). Call it before a request with a method such as POST
    changes anything.

    GET, HEAD, OPTIONS and TRACE pass, so the application must not change anything in response to them. Sec-Fetch-Site,
    which browsers send over HTTPS and to localhost, must be same-origin or none. Without it, Origin must match the host
    and port that the request was sent to; a proxy in front of the server must pass Host on. A request with neither
    header passes, as it does not come from a browser.
    """
    is_known(request)


def is_known(request: Any) -> bool:
    """As check_same_origin. Returns whether the request is known to be harmless; if not, it has neither header."""
    environment = _environment(request)
    method, header = _sent(environment)
    if method in ('GET', 'HEAD', 'OPTIONS', 'TRACE'):
        return True
    sites, origins, hosts = header('sec-fetch-site'), header('origin'), header('host')
    if sites:
        if not all(site in ('same-origin', 'none') for site in sites):
            raise CrossSite('the request comes from another origin: Sec-Fetch-Site says so')
    elif origins:
        is_own = len(origins) == len(hosts) == 1 and _is_own(origins[0], hosts[0], cookies_and_https(request)[1])
        if not is_own:
            raise CrossSite('the request comes from another origin: its Origin does not match its Host, which a proxy must '
                            'pass on')
    return bool(sites or origins)


def _sent(environment: Mapping[str, Any]) -> tuple[str, Callable[[str], list[str]]]:
    """The method of a request, and a function that returns the values of the fields with a name."""
    if 'type' in environment and 'headers' in environment:
        headers = environment['headers']
        return environment.get('method', 'GET'), lambda name: [
            value.decode('latin-1') for key, value in headers if key.lower() == name.encode()]

    def header(name: str) -> list[str]:
        value = environment.get('HTTP_' + name.upper().replace('-', '_'))
        return [] if value is None else [value]
    return environment.get('REQUEST_METHOD', ''), header


def _is_own(origin: str, host: str, https: bool) -> bool:
    """Whether an origin, such as https://example.org, is that of the request. The scheme's default port is optional in
    both."""
    scheme, _, origin = origin.partition('://')
    port = {'http': None if https else ':80', 'https': ':443'}.get(scheme)
    if not (port and origin and host):
        return False
    return host.removesuffix(port).lower() == origin.removesuffix(port).lower()
