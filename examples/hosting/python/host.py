"""python host.py lemon_session.wasm defaults.json: a server in Python that counts its visitors' visits."""

import json
import os
import sys
from threading import Lock
from wsgiref.simple_server import make_server

from wasmtime import Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, Variant

from memory import Memory, Record, add_storage

# 500 is for mistakes of the program.
STATUS = dict.fromkeys(['invalid-name', 'invalid-value', 'invalid-option', 'reserved', 'unreadable'],
                       '500 Internal Server Error') | {
    'denied': '403 Forbidden', 'conflict': '409 Conflict', 'gone': '409 Conflict', 'too-large': '413 Content Too Large',
    'too-many': '429 Too Many Requests', 'storage': '503 Service Unavailable',
}
OPTIONS = dict.fromkeys(['session-id', 'expires', 'cookie', 'seed', 'cleanup', 'strict', 'cache-limiter'])
LOCATION = Record({'storage': None, 'table': None})


class SessionError(Exception):
    """An error of the component, which goes on after it."""


def record(value):
    """A record in JSON as wasmtime-py takes it: attributes with the names of the WIT."""
    return Record({name: record(inner) for name, inner in value.items()}) if isinstance(value, dict) else value


class Sessions:
    """An instance of the component, for one call at a time."""

    def __init__(self):
        self.store = Store(engine)
        self.store.set_wasi(WasiConfig())
        self.instance = linker.instantiate(self.store, component)
        self.interface = self.instance.get_export_index(self.store, 'lemon:session/sessions@0.1.0')

    def call(self, name, *arguments):
        index = self.instance.get_export_index(self.store, name, self.interface)
        answer = self.instance.get_func(self.store, index)(self.store, *arguments)
        if isinstance(answer, Variant) and answer.tag in STATUS:
            raise SessionError(answer)
        return answer

    def start(self, app, cookies):
        return self.call('start', Record({**OPTIONS, 'app': app, 'cookies': cookies, 'https': False, 'location': LOCATION}))


requests = 0


def get_caller(_store):
    return Record({'request': requests, 'manager': 'owners'})


engine = Engine()
component = Component.from_file(engine, sys.argv[1])
with open(sys.argv[2]) as file:
    defaults = record(json.load(file))
linker = Linker(engine)
linker.add_wasip2()
add_storage(linker, Memory())
with linker.root() as root, root.add_instance('lemon:session/settings@0.1.0') as settings:
    settings.add_func('get-defaults', lambda _store: defaults)
    settings.add_func('get-caller', get_caller)
    settings.add_func('get-client', lambda _store: Record({'address': None, 'user-agent': None}))
    settings.add_func('notify', lambda _store, notice: print(notice, file=sys.stderr))

lock = Lock()
sessions = Sessions()
# Impossible settings are found here, and not by the first visitor.
sessions.start(None, []).drop(sessions.store)


def visit(cookies):
    """Counts a visit."""
    global requests
    requests += 1
    session = sessions.start('visits', cookies)
    try:
        visits = sessions.call('[method]session.add', session, 'visits', 1)
        return visits, sessions.call('[method]session.save', session)
    finally:
        session.drop(sessions.store)


def page(environ, start_response):
    global sessions
    cookie = environ.get('HTTP_COOKIE')
    with lock:
        try:
            visits, headers = visit([cookie.encode('latin-1')] if cookie else [])
        except SessionError as error:
            [variant] = error.args
            print(variant, file=sys.stderr)
            start_response(STATUS[variant.tag], [])
            return [f'{variant.tag}\n'.encode()]
        except Exception as error:
            sessions = Sessions()
            print(error, file=sys.stderr)
            start_response('500 Internal Server Error', [])
            return [b'error\n']
    start_response('200 OK', headers)
    return [f'This is your visit no. {visits}\n'.encode()]


with make_server('127.0.0.1', int(os.environ.get('PORT', 8080)), page) as server:
    print(f'http://127.0.0.1:{server.server_port}', flush=True)
    server.serve_forever()
