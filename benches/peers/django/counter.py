"""Django with its sessions in SQLite, in one file."""

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY="a secret of this measurement alone",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_COOKIE_AGE=1440,
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["COUNTER_DATABASE"],
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
            },
        }
    },
)
django.setup()


def page(variable1, count):
    return HttpResponse(
        f"<!DOCTYPE html>\n<title>Counter</title>\n<p>variable1: {variable1}</p>\n<p>count: {count}</p>\n"
    )


def count(request):
    session = request.session
    variable1 = session.setdefault("variable1", "Python Rules!")
    session["count"] = session.get("count", 0) + 1
    return page(variable1, session["count"])


def read(request):
    return page(request.session.get("variable1", "not set"), 0)


def none(request):
    return page("nobody", 0)


urlpatterns = [path("", count), path("read", read), path("none", none)]
application = get_wsgi_application()

if __name__ == "__main__":
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
