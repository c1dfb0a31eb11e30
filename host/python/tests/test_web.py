"""Sessions around applications of WSGI and ASGI, as servers call them, and the sessions of Django and Flask."""

import asyncio
import json
import threading
import unittest
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lemon_session_host import CrossSite, Error, Sessions, Settings, check_same_origin
from lemon_session_host.stores.sqlite import Sqlite

from .support import Place, cookie_of, sqlite

Environ = dict[str, Any]
Answer = tuple[int, list[tuple[str, str]], bytes]


def wsgi(application: Callable[..., Iterable[bytes]], path: str = '/', cookie: str = '', **more: Any) -> Answer:
    """What a server of WSGI gets from an application."""
    environ: Environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': path, 'wsgi.url_scheme': 'http', 'SERVER_NAME': 'localhost',
                        'SERVER_PORT': '80', 'wsgi.input': None, **more}
    if cookie:
        environ['HTTP_COOKIE'] = cookie
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        started.append((status, headers))
        return lambda data: None

    body = application(environ, start_response)
    try:
        content = b''.join(body)
    finally:
        if close := getattr(body, 'close', None):
            close()
    (status, headers), *again = started
    assert not again, started
    return int(status[:3]), headers, content


def names(headers: list[tuple[str, str]]) -> list[str]:
    return [name.lower() for name, _ in headers]


class Stopped(Sqlite):
    """A store that can be stopped."""

    is_stopped = False

    def load(self, *arguments: Any) -> Any:
        self._check()
        return super().load(*arguments)

    def create(self, *arguments: Any) -> Any:
        self._check()
        return super().create(*arguments)

    def update(self, *arguments: Any) -> Any:
        self._check()
        return super().update(*arguments)

    def _check(self) -> None:
        if self.is_stopped:
            raise OSError('the secret address is gone')


class WithPlace(unittest.TestCase):
    def setUp(self) -> None:
        context = sqlite()
        self.place: Place = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.store = Stopped(self.place.url.removeprefix('sqlite:'))
        self.sessions = Sessions(self.store, Settings(app='test'))
        self.addCleanup(self.sessions.close)


class Wsgi(WithPlace):
    def test_a_counter_counts_and_a_page_without_a_session_has_no_cookie(self) -> None:
        def page(environ: Environ, start_response: Any) -> Iterable[bytes]:
            if environ['PATH_INFO'] == '/static':
                start_response('200 OK', [])
                return [b'static']
            visits = environ['lemon.session'].add('visits')
            start_response('200 OK', [('Content-Type', 'text/plain'), ('Vary', 'Accept')])
            return [b'%d' % visits]

        application = self.sessions.wsgi(page)
        status, headers, body = wsgi(application)
        self.assertEqual((status, body), (200, b'1'))
        cookie = cookie_of(headers)
        self.assertIn(('Vary', 'Accept, Cookie'), headers)
        self.assertIn(('Cache-Control', 'no-store'), headers)
        self.assertEqual(wsgi(application, cookie=cookie)[2], b'2')
        self.assertEqual(wsgi(application, '/static', cookie)[1:], ([], b'static'))
        self.assertEqual(len(self.sessions._pool), 1)

    def test_the_save_comes_before_the_response(self) -> None:
        saved: list[int] = []

        def page(environ: Environ, start_response: Any) -> Iterator[bytes]:
            environ['lemon.session']['n'] = 1
            start_response('302 Found', [('Location', '/next')])
            saved.append(self.sessions.manager().count())
            yield b''

        wsgi(self.sessions.wsgi(page))
        self.assertEqual(saved, [1])

    def test_a_generator_reads_its_session_to_the_end_and_closes_it(self) -> None:
        def page(environ: Environ, start_response: Any) -> Iterator[bytes]:
            session = environ['lemon.session']
            session['n'] = 1
            start_response('200 OK', [])
            yield b'%d' % session['n']

        self.assertEqual(wsgi(self.sessions.wsgi(page))[2], b'1')
        self.assertEqual(len(self.sessions._pool), 1)

    def test_a_store_that_is_gone_is_503_and_never_a_fresh_session(self) -> None:
        def page(environ: Environ, start_response: Any) -> Iterable[bytes]:
            session = environ['lemon.session']
            created = session.created() if environ['PATH_INFO'] == '/read' else None
            session['n'] = 1
            start_response('200 OK', [])
            return [str(created).encode()]

        application = self.sessions.wsgi(page)
        cookie = cookie_of(wsgi(application)[1])
        self.store.is_stopped = True
        for path, sent in (('/read', cookie), ('/', ''), ('/', cookie)):
            with self.assertLogs('lemon_session_host'):
                status, headers, body = wsgi(application, path, sent)
            self.assertEqual((status, body), (503, b'Service Unavailable\n'))
            self.assertNotIn('set-cookie', names(headers))
        self.store.is_stopped = False
        self.assertEqual(wsgi(application, '/read', cookie)[2], b'False')

    def test_a_generator_whose_session_cannot_be_saved_is_503(self) -> None:
        closed: list[bool] = []

        def page(environ: Environ, start_response: Any) -> Iterator[bytes]:
            try:
                environ['lemon.session']['n'] = 1
                start_response('200 OK', [])
                yield b'not sent'
                yield b'nor this'
            finally:
                closed.append(True)

        self.store.is_stopped = True
        with self.assertLogs('lemon_session_host'):
            self.assertEqual(wsgi(self.sessions.wsgi(page))[::2], (503, b'Service Unavailable\n'))
        self.assertEqual(closed, [True])

    def test_errors_of_a_session_have_their_status(self) -> None:
        def page(environ: Environ, start_response: Any) -> Iterable[bytes]:
            session = environ['lemon.session']
            if environ['PATH_INFO'] == '/name':
                session['x' * 33] = 1
            if environ['PATH_INFO'] == '/gone':
                session['x'] = 1
                with self.sessions.start(environ) as other:
                    other.destroy()
            session['y'] = 1
            start_response('200 OK', [])
            return []

        application = self.sessions.wsgi(page)
        cookie = cookie_of(wsgi(application)[1])
        # A mistake of the program is told its log, not its visitors.
        with self.assertLogs('lemon_session_host') as logs:
            status, _, body = wsgi(application, '/name', cookie)
        self.assertEqual((status, body), (500, b'Internal Server Error\n'))
        self.assertIn("InvalidName: the variable's name has 33 characters; the limit is 32", logs.output[0])
        status, _, body = wsgi(application, '/gone', cookie)
        self.assertEqual((status, body.partition(b':')[0]), (409, b'Gone'))

    def test_a_response_of_500_discards_the_changes(self) -> None:
        def page(environ: Environ, start_response: Any) -> Iterable[bytes]:
            environ['lemon.session']['n'] = 1
            start_response(environ['PATH_INFO'][1:] + ' Status', [])
            return []

        application = self.sessions.wsgi(page)
        with self.assertLogs('lemon_session_host'):
            self.assertNotIn('set-cookie', names(wsgi(application, '/500')[1]))
        self.assertEqual(self.sessions.manager().count(), 0)
        self.assertIn('set-cookie', names(wsgi(application, '/404')[1]))

    def test_destroy_sends_the_deletion(self) -> None:
        def page(environ: Environ, start_response: Any) -> Iterable[bytes]:
            session = environ['lemon.session']
            if environ['PATH_INFO'] == '/logout':
                session.destroy()
            else:
                session['n'] = 1
            start_response('200 OK', [])
            return []

        application = self.sessions.wsgi(page)
        cookie = cookie_of(wsgi(application)[1])
        self.assertEqual(cookie_of(wsgi(application, '/logout', cookie)[1]), '')

    def test_options_that_are_impossible_are_found_at_once(self) -> None:
        self.assertRaises(Error, self.sessions.wsgi, lambda *_: [], expires='soon')
        self.assertRaises(TypeError, self.sessions.asgi, lambda *_: [], expire=5)

    def test_secure_follows_the_scheme_that_the_server_names(self) -> None:
        def page(environ: Environ, start_response: Any) -> Iterable[bytes]:
            environ['lemon.session']['n'] = 1
            start_response('200 OK', [])
            return []

        for more, secure in (({'wsgi.url_scheme': 'https'}, True), ({'HTTP_X_FORWARDED_PROTO': 'https'}, False)):
            cookie = dict(wsgi(self.sessions.wsgi(page), **more)[1])['Set-Cookie']
            self.assertEqual('; Secure' in cookie, secure, more)

    def test_a_request_of_another_site_is_refused(self) -> None:
        for headers, passes in (
            ({}, True), ({'HTTP_SEC_FETCH_SITE': 'same-origin'}, True), ({'HTTP_SEC_FETCH_SITE': 'cross-site'}, False),
            ({'HTTP_ORIGIN': 'http://example.org', 'HTTP_HOST': 'EXAMPLE.org:80'}, True),
            ({'HTTP_ORIGIN': 'http://evil.org', 'HTTP_HOST': 'example.org'}, False),
            ({'HTTP_ORIGIN': 'null', 'HTTP_HOST': 'example.org'}, False),
            ({'HTTP_ORIGIN': 'http://example.org'}, False),
        ):
            environ = {'REQUEST_METHOD': 'POST', 'wsgi.url_scheme': 'http', **headers}
            scope = {'type': 'http', 'method': 'POST', 'scheme': 'http', 'headers': [
                (name[5:].replace('_', '-').lower().encode(), value.encode()) for name, value in headers.items()]}
            for request in (environ, scope):
                with self.subTest(request=request):
                    if passes:
                        check_same_origin(request)
                    else:
                        self.assertRaises(CrossSite, check_same_origin, request)
            check_same_origin({**environ, 'REQUEST_METHOD': 'GET'})


def asgi(application: Any, path: str = '/', cookie: str = '', kind: str = 'http') -> tuple[list[dict[str, Any]], Any]:
    """The messages of an application of ASGI, and the cookie that it set."""
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        async def receive() -> dict[str, Any]:
            return {'type': 'http.request', 'body': b''}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
        headers = [(b'cookie', cookie.encode())] if cookie else []
        await application({'type': kind, 'method': 'GET', 'path': path, 'scheme': kind, 'headers': headers}, receive, send)
    asyncio.run(run())
    first = [(name.decode(), value.decode()) for name, value in sent[0].get('headers', [])]
    return sent, cookie_of(first) if 'set-cookie' in names(first) else None


class Asgi(WithPlace):
    async def page(self, scope: Any, receive: Any, send: Any) -> None:
        session = scope['session']
        assert session is scope['lemon.session']
        if scope['path'] != '/static':
            session['visits'] = session.get('visits', 0) + 1
        await send({'type': 'http.response.start', 'status': 500 if scope['path'] == '/500' else 200,
                    'headers': [(b'content-type', b'text/plain')]})
        await send({'type': 'http.response.body', 'body': str(session.get('visits')).encode()})

    def test_a_counter_counts_and_a_page_without_a_session_has_no_cookie(self) -> None:
        application = self.sessions.asgi(self.page)
        sent, cookie = asgi(application)
        self.assertEqual(sent[1]['body'], b'1')
        self.assertEqual(asgi(application, cookie=cookie)[0][1]['body'], b'2')
        self.assertIsNone(asgi(application, '/static', cookie)[1])
        self.assertIsNone(asgi(application, '/static')[1])
        with self.assertLogs('lemon_session_host'):
            asgi(application, '/500', cookie)
        self.assertEqual(asgi(application, cookie=cookie)[0][1]['body'], b'3')
        self.assertEqual(len(self.sessions._pool), 1)

    def test_the_event_loop_does_not_wait_for_the_store(self) -> None:
        loop_thread, of_store = threading.get_ident(), set()
        for name in ('load', 'update', 'create'):
            inner = getattr(self.store, name)

            def outer(*arguments: Any, inner: Any = inner) -> Any:
                of_store.add(threading.get_ident())
                return inner(*arguments)
            setattr(self.store, name, outer)
        application = self.sessions.asgi(self.page)
        _, cookie = asgi(application)
        asgi(application, cookie=cookie)
        self.assertTrue(of_store)
        self.assertNotIn(loop_thread, of_store)

    def test_a_store_that_is_gone_is_503(self) -> None:
        application = self.sessions.asgi(self.page)
        _, cookie = asgi(application)
        self.store.is_stopped = True
        for sent_cookie in ('', cookie):
            with self.assertLogs('lemon_session_host'):
                sent, new = asgi(application, cookie=sent_cookie)
            self.assertEqual([message.get('status', message.get('body')) for message in sent], [503, b'Service Unavailable\n'])
            self.assertIsNone(new)

    def test_parallel_requests_on_one_loop_keep_their_variables(self) -> None:
        async def page(scope: Any, receive: Any, send: Any) -> None:
            session = scope['session']
            await asyncio.sleep(0)
            session['v' + scope['path'][1:]] = 1
            await send({'type': 'http.response.start', 'status': 200, 'headers': []})
            await send({'type': 'http.response.body', 'body': b''})

        application = self.sessions.asgi(page)
        _, cookie = asgi(application, '/x')

        async def drop(message: Any) -> None:
            pass

        async def all() -> None:
            await asyncio.gather(*(application(
                {'type': 'http', 'method': 'GET', 'path': f'/{number}', 'scheme': 'http',
                 'headers': [(b'cookie', cookie.encode())]}, None, drop) for number in range(50)))
        asyncio.run(all())
        with self.sessions.start({'HTTP_COOKIE': cookie}) as session:
            self.assertEqual(len(session), 51)

    def test_a_web_socket_gets_its_cookie_and_its_session_is_closed(self) -> None:
        async def page(scope: Any, receive: Any, send: Any) -> None:
            scope['session']['n'] = 1
            await send({'type': 'websocket.accept'})
            self.assertEqual(len(self.sessions._pool), 1)
            with self.assertRaises(Error):
                scope['session'].get('n')

        _, cookie = asgi(self.sessions.asgi(page), kind='websocket')
        with self.sessions.start({'HTTP_COOKIE': cookie}) as session:
            self.assertEqual(session['n'], 1)

    def test_a_request_that_is_cancelled_gives_its_instance_back(self) -> None:
        async def page(scope: Any, receive: Any, send: Any) -> None:
            scope['session'].get('n')
            await asyncio.sleep(60)

        async def run() -> None:
            scope = {'type': 'http', 'method': 'GET', 'path': '/', 'scheme': 'http', 'headers': []}
            task = asyncio.ensure_future(self.sessions.asgi(page)(scope, None, None))
            await asyncio.sleep(0.2)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
        asyncio.run(run())
        self.assertEqual(len(self.sessions._pool), 1)


class Flask(WithPlace):
    def test_flask_uses_the_session_of_the_environment(self) -> None:
        from flask import Flask, request

        app = Flask('site')

        @app.route('/')
        def page() -> str:
            return str(request.environ['lemon.session'].add('visits'))

        @app.route('/own')
        def own() -> str:
            with self.sessions.start(request) as session:
                return str(session.get('visits'))

        @app.errorhandler(Error)
        def failed(error: Error) -> tuple[str, int]:
            if error.status >= 500:
                app.logger.error('%s: %s', type(error).__name__, error)
                return 'Try again later', error.status
            return str(error), error.status

        @app.route('/name')
        def name() -> str:
            request.environ['lemon.session']['x' * 33] = 1
            return ''

        app.wsgi_app = self.sessions.wsgi(app.wsgi_app)  # type: ignore[method-assign]
        client = app.test_client()
        self.assertEqual([client.get('/').text for _ in range(3)], ['1', '2', '3'])
        self.assertEqual(client.get('/own').text, '3')
        with self.assertLogs('site') as logs:
            answer = client.get('/name')
        self.assertEqual((answer.status_code, answer.text), (500, 'Try again later'))
        self.assertIn('InvalidName', logs.output[0])


class Django(unittest.TestCase):
    """A project with logins, as Django's own test client calls it."""

    @classmethod
    def setUpClass(cls) -> None:
        import django
        # In a module, unittest would look into them before they are there.
        from django.conf import settings as django_settings
        context = sqlite()
        cls.place = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        path = cls.place.url.removeprefix('sqlite:')
        django_settings.configure(
            SECRET_KEY='x', ALLOWED_HOSTS=['*'], ROOT_URLCONF=__name__, USE_TZ=True, SESSION_COOKIE_NAME='site',
            INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes', 'django.contrib.messages'],
            MIDDLEWARE=['lemon_session_host.django.SessionMiddleware',
                        'django.contrib.auth.middleware.AuthenticationMiddleware',
                        'django.contrib.messages.middleware.MessageMiddleware'],
            SESSION_ENGINE='lemon_session_host.django', DEFAULT_AUTO_FIELD='django.db.models.AutoField',
            LEMON_SESSION={'storage': cls.place.url, 'app': 'shop', 'cookie': {'name': 'site'}, 'max_lifetime': 0},
            DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': f'{path}.django'}})
        django.setup()
        from django.contrib.auth.models import User
        from django.core.management import call_command
        call_command('migrate', verbosity=0)
        User.objects.create_user('ada', password='secret')

    def setUp(self) -> None:
        from django.test import Client
        self.client = Client()
        from lemon_session_host.django import sessions
        self.sessions = sessions()

    def cookie(self) -> str:
        return str(self.client.cookies['site'].value)

    def session(self) -> dict[str, Any]:
        """The variables as another page of the site finds them."""
        session = self.sessions.start({'HTTP_COOKIE': f'site={self.cookie()}'})
        self.assertFalse(session.created())
        return dict(session)

    def get(self, path: str) -> str:
        response = self.client.get(path)
        self.assertEqual(response.status_code, 200, response.content)
        return response.content.decode()

    def test_a_counter_counts_and_other_pages_see_it(self) -> None:
        self.assertEqual([self.get('/count') for _ in range(3)], ['1', '2', '3'])
        self.assertEqual(self.session(), {'visits': 3})
        with self.sessions.start({'HTTP_COOKIE': f'site={self.cookie()}'}) as session:
            session['visits'] = 41
        self.assertEqual(self.get('/count'), '42')

    def test_a_visitor_without_variables_gets_no_session(self) -> None:
        self.assertEqual(self.get('/user'), 'None')
        self.assertNotIn('site', self.client.cookies)

    def test_headers_are_those_of_the_component(self) -> None:
        response = self.client.get('/count')
        self.assertRegex(str(response.cookies['site'].OutputString()),
                         r'^site=.{43}; Path=/; HttpOnly; SameSite=Lax; Max-Age=15\d\d$')
        self.assertEqual((response['Cache-Control'], response['Vary']), ('no-store', 'Cookie'))
        secure = self.client.get('/count', secure=True)
        self.assertIn('; Secure; ', str(secure.cookies['site'].OutputString()))

    def test_a_login_changes_the_id_and_sets_the_owner_and_a_logout_ends_it(self) -> None:
        self.get('/count')
        before = self.cookie()
        self.assertEqual(self.get('/login'), 'ada')
        after = self.cookie()
        self.assertNotEqual(before, after)
        self.assertTrue(self.sessions.start({'HTTP_COOKIE': f'site={before}'}).created())
        self.assertEqual(self.session()['visits'], 1)
        self.assertEqual(self.get('/user'), 'ada')
        owner = self.session()['_auth_user_id']
        self.assertEqual(len(list(self.sessions.manager().list(owner))), 1)
        response = self.client.get('/logout')
        self.assertIn('Max-Age=0', str(response.cookies['site'].OutputString()))
        self.assertTrue(self.sessions.start({'HTTP_COOKIE': f'site={after}'}).created())
        self.assertEqual(self.get('/user'), 'None')
        self.assertEqual(list(self.sessions.manager().list(owner)), [])

    def test_what_follows_a_logout_is_in_a_new_session(self) -> None:
        self.get('/login')
        before = self.cookie()
        self.assertEqual(self.get('/logout-and-set'), '')
        self.assertNotEqual(self.cookie(), before)
        self.assertEqual(self.session(), {'after': 1})

    def test_messages_are_shown_once(self) -> None:
        self.assertEqual(self.get('/message'), '')
        self.assertEqual([self.get('/messages'), self.get('/messages')], ['["hello"]', '[]'])

    def test_a_nested_value_that_was_changed_in_place_is_saved_with_modified(self) -> None:
        self.get('/cart')
        self.get('/cart')
        self.assertEqual(self.session()['cart'], [1, 1])

    def test_parallel_requests_keep_each_other_s_variables(self) -> None:
        from django.test import Client
        self.get('/count')
        cookie = self.cookie()

        def request(number: int) -> None:
            client = Client()
            client.cookies['site'] = cookie
            assert client.get(f'/set?{number}').status_code == 200

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(request, range(50)))
        self.assertEqual(self.session(), {'visits': 1} | {f'v{number}': number for number in range(50)})

    def test_a_save_after_the_session_has_ended_is_409(self) -> None:
        self.get('/count')
        self.assertEqual(self.client.get('/end-beside').status_code, 409)

    def test_a_store_that_is_gone_is_503(self) -> None:
        from django.test import override_settings
        self.get('/count')
        with override_settings(LEMON_SESSION={'storage': 'redis://127.0.0.1:1', 'cookie': {'name': 'site'}}):
            with self.assertLogs('lemon_session_host'):
                response = self.client.get('/count')
        self.assertEqual((response.status_code, response.content), (503, b'Service Unavailable\n'))
        self.assertEqual(self.get('/count'), '2')

    def test_a_response_of_500_discards_the_changes(self) -> None:
        self.get('/count')
        with self.assertLogs('lemon_session_host'):
            self.assertEqual(self.client.get('/fail').status_code, 500)
        self.assertEqual(self.session(), {'visits': 1})

    def test_set_expiry_changes_how_long_a_session_lasts(self) -> None:
        response = self.client.get('/expiry?0')
        self.assertNotIn('Max-Age', str(response.cookies['site'].OutputString()))
        response = self.client.get('/expiry?100000')
        self.assertIn('Max-Age=100000', str(response.cookies['site'].OutputString()))
        left = self.sessions.start({'HTTP_COOKIE': f'site={self.cookie()}'}).expires_at()
        import time
        self.assertGreater(left, time.time() + 90_000)
        self.assertEqual(self.get('/count'), '1')

    def test_the_store_without_a_request_is_that_of_a_key(self) -> None:
        from lemon_session_host.django import SessionStore, UpdateError
        store = SessionStore()
        store['n'] = 1
        store.create()
        key = store.session_key
        assert key is not None
        self.assertTrue(store.exists(key))
        same = SessionStore(key)
        self.assertEqual(same['n'], 1)
        same['n'] = 2
        same.save()
        store.delete(key)
        self.assertFalse(SessionStore().exists(key))
        same['n'] = 3
        self.assertRaises(UpdateError, same.save)
        self.assertEqual(SessionStore(key).get('n'), None)
        SessionStore.clear_expired()

    def test_the_test_client_s_session_is_this_one(self) -> None:
        self.get('/count')
        session = self.client.session
        session['visits'] = 9
        session.save()
        self.assertEqual(self.get('/count'), '10')
        self.client.force_login(__import__('django.contrib.auth.models', fromlist=['User']).User.objects.get())
        self.assertEqual(self.get('/user'), 'ada')

    def test_mistakes_in_the_settings_are_named(self) -> None:
        from django.core.exceptions import ImproperlyConfigured
        from django.test import override_settings
        from lemon_session_host.django import SessionMiddleware
        for given, why in (({'expire': 5}, 'expire'), ({'expires': 0}, 'at least 1 second'), ({'storage': 'x:'}, 'scheme'),
                           ({'ini': '/x', 'app': 'a'}, 'beside ini')):
            with self.subTest(given=given), override_settings(LEMON_SESSION=given):
                self.assertRaisesRegex(ImproperlyConfigured, why, SessionMiddleware, lambda request: None)
        with override_settings(SESSION_ENGINE='django.contrib.sessions.backends.cache'):
            self.assertRaisesRegex(ImproperlyConfigured, 'SESSION_ENGINE', SessionMiddleware, lambda request: None)


def _urls() -> list[Any]:
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    def count(request: HttpRequest) -> HttpResponse:
        request.session['visits'] = request.session.get('visits', 0) + 1
        return HttpResponse(str(request.session['visits']))

    def user(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(request.user.get_username() or None))

    def login(request: HttpRequest) -> HttpResponse:
        from django.contrib import auth
        found = auth.authenticate(username='ada', password='secret')
        auth.login(request, found)
        return HttpResponse(found.get_username() if found else '')

    def logout(request: HttpRequest) -> HttpResponse:
        from django.contrib import auth
        auth.logout(request)
        if 'set' in request.path:
            request.session['after'] = 1
        return HttpResponse()

    def message(request: HttpRequest) -> HttpResponse:
        from django.contrib import messages
        messages.info(request, 'hello')
        return HttpResponse()

    def show(request: HttpRequest) -> HttpResponse:
        from django.contrib import messages
        return HttpResponse(json.dumps([str(one) for one in messages.get_messages(request)]))

    def cart(request: HttpRequest) -> HttpResponse:
        request.session.setdefault('cart', []).append(1)
        request.session.modified = True
        return HttpResponse()

    def set_one(request: HttpRequest) -> HttpResponse:
        number = int(request.META['QUERY_STRING'])
        request.session[f'v{number}'] = number
        return HttpResponse()

    def end_beside(request: HttpRequest) -> HttpResponse:
        from lemon_session_host.django import sessions
        request.session['late'] = 1
        request.session.get('visits')
        sessions().start(request).destroy()
        return HttpResponse()

    def fail(request: HttpRequest) -> HttpResponse:
        request.session['late'] = 1
        request.session.lemon['late'] = 1  # type: ignore[attr-defined]
        return HttpResponse(status=500)

    def expiry(request: HttpRequest) -> HttpResponse:
        request.session.set_expiry(int(request.META['QUERY_STRING']))
        return HttpResponse()

    views = {'count': count, 'user': user, 'login': login, 'logout': logout, 'logout-and-set': logout, 'message': message,
             'messages': show, 'cart': cart, 'set': set_one, 'end-beside': end_beside, 'fail': fail, 'expiry': expiry}
    return [path(name, view) for name, view in views.items()]


urlpatterns = _urls()

if __name__ == '__main__':
    unittest.main()
