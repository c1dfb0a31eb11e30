"""The page in Django."""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lemon_session_host import check_same_origin
from values import VALUES

settings.configure(
    SECRET_KEY='change this', ALLOWED_HOSTS=['127.0.0.1'], ROOT_URLCONF=__name__,
    SESSION_ENGINE='lemon_session_host.django',
    MIDDLEWARE=['lemon_session_host.django.SessionMiddleware', f'{__name__}.same_origin'],
    LEMON_SESSION={
        'storage': os.environ.get('STORAGE', 'redis://127.0.0.1:6379'), 'table': os.environ.get('TABLE', 'Session'),
        'app': 'shop', 'expires': 60 * 60, 'lazy': True, 'cookie': {'name': 'visitor'},
    },
)


def same_origin(get_response):
    def middleware(request):
        check_same_origin(request)
        return get_response(request)
    return middleware


def text(content):
    return HttpResponse(content, content_type='text/plain; charset=utf-8')


@require_GET
def page(request):
    if request.session.lemon.created():
        return text('no session\n')
    return text(''.join(f'{name}: {value}\n' for name, value in request.session.items()))


@require_POST
def set_variable(request):
    request.session[request.POST['name']] = request.POST['value']
    return text('set\n')


@require_POST
def login(request):
    # django.contrib.auth.login does the first two for a user of Django.
    request.session.cycle_key()
    request.session.lemon.set_owner(request.POST['user'])
    request.session['user'] = request.POST['user']
    return text(f'welcome, {request.POST["user"]}\n')


@require_POST
def logout(request):
    request.session.flush()
    return text('goodbye\n')


@require_http_methods(['GET', 'POST'])
def values(request):
    if request.method == 'POST':
        request.session.update(VALUES)
        return text('set\n')
    # True == 1 == 1.0 in Python, but each has a repr of its own.
    different = [name for name, value in VALUES.items() if repr(request.session.get(name, 'missing')) != repr(value)]
    return text(f'different: {" ".join(different) or "none"}\n')


urlpatterns = [
    path('', page), path('set', set_variable), path('login', login), path('logout', logout), path('values', values),
]

if __name__ == '__main__':
    execute_from_command_line([sys.argv[0], 'runserver', '--noreload', f'127.0.0.1:{os.environ.get("PORT", "8002")}'])
