"""What tests/tests/languages.rs asks of the Python side: the page of docs/languages.md, where a request comes from, reading,
refusing, and a session as a dictionary."""

from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from componentize_py_types import Ok
from lemon_session import CrossSite, Denied, Error, Gone, InvalidOption, Manager, check_same_origin, start
from wit_world import exports
from wit_world.imports.wasi_http_types import (
    Fields, IncomingRequest, Method_Post, OutgoingBody, OutgoingResponse, ResponseOutparam
)


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam):
        route = ROUTES[urlsplit(request.path_with_query() or '/').path]
        fields = Fields.from_list([('content-type', b'text/plain; charset=utf-8')])
        status = 200
        try:
            lines = list(route(request, fields))
        except CrossSite as error:
            status, lines = error.status, [f'cross-site: {error}']
        response = OutgoingResponse(fields)
        response.set_status_code(status)
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        content = ''.join(f'{line}\n' for line in lines).encode()
        with body.write() as stream:
            for part in range(0, len(content), 4096):
                stream.blocking_write_and_flush(content[part:part + 4096])
        OutgoingBody.finish(body, None)


def read(request, fields):
    """All variables, with their types."""
    session = start(request, app='values')
    yield from (f'{key}: {type(value).__name__} {value!r}' for key, value in session.items())
    session.save(fields)


def write(request, fields):
    """Sets what it read, which changes nothing."""
    session = start(request, app='values')
    for key, value in session.entries():
        session[key] = value
    session.save(fields)
    yield 'written'


def refuse(request, fields):
    """What is no plain data, and why."""
    session = start(request, app='values')
    itself = []
    itself.append(itself)
    deep = []
    for _ in range(127):
        deep = [deep]
    refused = {
        'tuple': (1, 2),
        'set': {1},
        'object': object(),
        'bytearray': bytearray(b'a'),
        'true-int': type('Number', (int,), {})(1),
        'large': 2**63,
        'small': -2**63 - 1,
        'surrogate': '\ud800',
        'nested-tuple': [1, (2, 3)],
        'nested-bytes': {'a': [b'a']},
        'nested-nan': [float('nan')],
        'nested-infinity': {'a': float('inf')},
        'nested-large': [2**63],
        'nested-surrogate': ['\udfff'],
        'surrogate-key': {'\ud800': 1},
        'int-key': {1: 'a'},
        'itself': itself,
        'deep': deep,
    }
    for key, value in refused.items():
        try:
            session[key] = value
            yield f'{key}: stored'
        except Error as error:
            yield f'{type(error).__name__}: {error}'
    for action in (
        lambda: session.set('\ud800', 1),
        lambda: session.get('\ud800'),
        lambda: session.set(1, 1),
        lambda: session.get(1),
        lambda: session.set('k' * 33, 1),
        lambda: session.add('a', 1.5),
        lambda: session.add('a', 2**63),
        lambda: start(request, expires=-1),
        lambda: start(request, expires='1h'),
        lambda: start(request, cleanup='often'),
        lambda: start(request, app='\ud800'),
        lambda: start(request, app=1),
        lambda: session.set_owner(5),
    ):
        try:
            action()
            yield 'done'
        except Exception as error:
            yield f'{type(error).__name__}: {error}'
    session['deep-enough'] = deep[0]
    yield f'stored: {list(session)}'


def dictionary(request, fields):
    """A session as a dictionary."""
    with start(request, app='dictionary', cookie={'name': 'dictionary', 'same_site': 'strict'}) as session:
        session['b'] = [1, {'c': None}]
        session['a'] = 1
        yield f'created {session.created()}, app {session.app()}, {len(session.digest())} digits'
        yield f"in {'a' in session}, {'x' in session}, {1 in session}; len {len(session)}; {list(session)}"
        yield f"get {session['b']}, {session.get('x')}, {session.get('x', 'none')}"
        yield f"add {session.add('a', 41)}, {session.add('new')}"
        del session['new']
        yield f"take {session.take('b')}, {session.take('b', 'taken')}, pop {session.pop('a')}, left {dict(session)}"
        for action in (lambda: session['x'], lambda: session.pop('x'), lambda: session.__delitem__('x')):
            try:
                action()
            except KeyError as error:
                yield f'KeyError {error}'
        session.update(one=1, two=2)
        held = session.reserve('held', 'key')
        held['secret'] = True
        try:
            session.application('held')
        except Error as error:
            yield f'{type(error).__name__}'
        held.release('held')
        yield f"released {session.application('held').entries()}"
        session.set_owner('me')
        yield f'owner {session.owner()}'
    for name, value in session.headers:
        fields.append(name, value.encode())
    manager = Manager()
    yield f"managed {[entry.digest == session.digest() for entry in manager.list('me')]}"
    yield f"ended {session.destroy_others()} others, {manager.destroy(session.digest(), 'you')}"
    try:
        manager.count()
    except Denied as error:
        yield f'Denied {error}'
    try:
        with start(session_id=session.id(), app='dictionary') as same:
            same['one'] = 'discarded'
            raise RuntimeError
    except RuntimeError:
        yield f"kept {start(session_id=session.id(), app='dictionary')['one']}"
    yield f"ended {manager.destroy_owned('me')}"
    try:
        session['one'] = 2
        session.save()
    except Gone as error:
        yield f'Gone {error}'
    for cookie in ({'same_site': 'never'}, {'path': '/', 'color': 'red'}):
        try:
            start(request, cookie=cookie)
        except InvalidOption as error:
            yield f'InvalidOption {error}'


def same_origin(request, fields):
    check_same_origin(request)
    yield 'from here'


def handy(request, fields):
    """Defaults, flash messages, changes and the variables of another session."""
    session = start(request, app='handy')
    yield f'{session.modified()} {session.accessed()}'.lower()
    yield f"default {session.setdefault('a', 1)} {session.setdefault('a', 2)}"
    session.flash('saved')
    session.flash({'level': 'error'})
    yield f'keys {len(session)}, {session.modified()} {session.accessed()}'.lower()
    session.set_owner('me')
    session.save(fields)
    yield f'saved {session.modified()}'.lower()
    first, second = session.flashes()
    yield f"flashes {first} {second['level']}, then {len(session.flashes())}"
    again = start(app='handy', session_id='')
    again.set_owner('me')
    yield f'of the other {dict(again.entries_of(session.digest()))["a"]}'
    for digest in '0' * 64, 'none':
        try:
            yield f'of none {len(again.entries_of(digest))}'
        except Error as error:
            yield type(error).__name__


def form(request, fields):
    """A form, which needs a token if the request does not tell where it comes from."""
    session = start(request, app='form')
    if request.method() == Method_Post():
        tokens = request.headers().get('x-token')
        session.check_csrf(request, tokens[0].decode('latin-1') if tokens else None)
        yield 'accepted'
    else:
        yield session.csrf_token()
    session.save(fields)


@dataclass
class Cart:
    """What is in the cart. Version 2 has a currency."""
    items: list[str]
    total: int
    currency: str = 'EUR'


def cart_of(session):
    stored = session.get('cart', {'items': [], 'total': 0})
    return Cart(**stored)


def evolve(request, fields):
    """A variable that an older version of the page has set."""
    session = start(request, app='evolve')
    session['cart'] = {'items': ['tea'], 'total': 2}
    yield repr(cart_of(session))
    session['cart'] = asdict(cart_of(session))
    yield repr(session['cart'])
    session['cart'] = {'items': ['tea']}
    try:
        yield repr(cart_of(session))
    except TypeError as error:
        yield str(error)


def page(request, fields):
    session = start(request, app='visits')
    session['visits'] = session.get('visits', 0) + 1
    session.save(fields)
    return f"This is your visit no. {session['visits']}"


ROUTES = {
    '/page': lambda request, fields: [page(request, fields)],
    '/same-origin': same_origin,
    '/read': read,
    '/write': write,
    '/refuse': refuse,
    '/dictionary': dictionary,
    '/handy': handy,
    '/form': form,
    '/evolve': evolve,
}
