"""Sessions of lemon:session for servers in Python, from the same component that applications of WebAssembly use.

    sessions = Sessions('sqlite:sessions.db', Settings(app='visits'))

    with sessions.start(environ) as session:
        session['visits'] = session.get('visits', 0) + 1
    headers = session.headers               # send these with the response

`Sessions.wsgi` and `Sessions.asgi` do this around an application, and `lemon_session_host.django` is an engine for the
sessions of Django.
"""

from .errors import (
    Conflict, CrossSite, Denied, Error, Failed, Gone, InvalidName, InvalidOption, InvalidSettings, InvalidValue, Reserved,
    Storage, TooLarge, TooMany, Unreadable
)
from .requests import check_same_origin
from .session import Entry, Manager, Metadata, Session
from .sessions import Cookie, Sessions
from .settings import CookieSettings, Limits, Settings
from .store import Store

__all__ = [
    'Conflict', 'Cookie', 'CookieSettings', 'CrossSite', 'Denied', 'Entry', 'Error', 'Failed', 'Gone', 'InvalidName',
    'InvalidOption', 'InvalidSettings', 'InvalidValue', 'Limits', 'Manager', 'Metadata', 'Reserved', 'Session', 'Sessions',
    'Settings', 'Storage', 'Store', 'TooLarge', 'TooMany', 'Unreadable', 'check_same_origin',
]
