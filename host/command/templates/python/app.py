"""A page with a login, a form, and messages that are shown once.

Every change is a POST that is answered with a redirect to the page, so that a reload repeats nothing.
"""

import re
import sys
from urllib.parse import parse_qsl

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.wasi_http_types import (
    Fields, IncomingBody, IncomingRequest, Method_Get, Method_Head, Method_Post, OutgoingBody, OutgoingResponse,
    ResponseOutparam
)

import page
from lemon_session import Error, check_same_origin, start

LONGEST_NAME = 100
LONGEST_NOTE = 200
MOST_NOTES = 20


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam):
        try:
            status, fields, html = respond(request)
        except Error as error:
            print(f'{type(error).__name__}: {error}', file=sys.stderr)
            status, fields, html = error.status, Fields(), page.error(str(error))
        answer(response_out, status, fields, html)


def respond(request):
    """Returns the status, the header fields and the HTML of the response."""
    # A form on another site could log the visitor in under a name that is not the visitor's own.
    check_same_origin(request)
    path = (request.path_with_query() or '/').partition('?')[0]
    match request.method(), path:
        case (Method_Get() | Method_Head()), '/':
            return show(start(request))
        case Method_Post(), '/login':
            return login(start(request), form(request).get('name', ''))
        case Method_Post(), '/notes':
            return note(start(request), form(request).get('note', ''))
        case Method_Post(), '/logout':
            fields = Fields()
            start(request).destroy(fields)
            return redirect(fields)
    return 404, Fields(), page.error('There is no such page.')


def show(session):
    html = page.page(session.get('user'), session.get('notes', []), session.flashes())
    fields = Fields()
    session.save(fields)
    return 200, fields, html


def login(session, name):
    if not 1 <= len(name) <= LONGEST_NAME:
        session.flash(f'Enter a name of 1 to {LONGEST_NAME} characters.')
    else:
        # Any name is accepted here: check a password before this.
        session.authenticate(name, 'name')
        session['user'] = name
        session.flash(f'Welcome, {name}.')
    return saved(session)


def note(session, text):
    if 'user' not in session:
        session.flash('Log in first.')
    elif not 1 <= len(text) <= LONGEST_NOTE:
        session.flash(f'Enter a note of 1 to {LONGEST_NOTE} characters.')
    else:
        session['notes'] = [*session.get('notes', []), text][-MOST_NOTES:]
        session.flash('Your note is saved.')
    return saved(session)


def saved(session):
    fields = Fields()
    session.save(fields)
    return redirect(fields)


def redirect(fields):
    fields.append('location', b'/')
    return 303, fields, ''


def form(request):
    """The fields of the form in a request's body."""
    body = request.consume()
    content = bytearray()
    with body.stream() as stream:
        try:
            while True:
                content += stream.blocking_read(65536)
        except Err as end:
            if not isinstance(end.value, StreamError_Closed):
                raise
    IncomingBody.finish(body)
    fields = parse_qsl(content.decode(errors='replace'), keep_blank_values=True)
    # Without control characters, which no name may contain.
    return {name: re.sub(r'[\x00-\x1f\x7f-\x9f]', ' ', value).strip() for name, value in fields}


def answer(response_out, status, fields, html):
    fields.append('content-type', b'text/html; charset=utf-8')
    response = OutgoingResponse(fields)
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(response_out, Ok(response))
    content = html.encode()
    with body.write() as stream:
        # The stream takes at most 4096 bytes at a time.
        for begin in range(0, len(content), 4096):
            stream.blocking_write_and_flush(content[begin:begin + 4096])
    OutgoingBody.finish(body, None)
