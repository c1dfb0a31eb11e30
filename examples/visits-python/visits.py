"""A page that remembers its visitor: the example of lemon.session, in Python again."""

from html import escape

from componentize_py_types import Ok
from lemon_session import Error, check_same_origin, start
from wit_world import exports
from wit_world.imports.wasi_http_types import (
    Fields, IncomingRequest, Method_Post, OutgoingBody, OutgoingResponse, ResponseOutparam
)


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam):
        fields = Fields.from_list([('content-type', b'text/html; charset=utf-8')])
        try:
            answer(response_out, 200, fields, page(request, fields))
        except Error as error:
            answer(response_out, error.status, fields, f'<p>{type(error).__name__}: {escape(str(error))}</p>')


def page(request, fields):
    check_same_origin(request)
    session = start(request, app='visits')
    if session.created():
        session['variable1'] = 'Python Rules!'
        html = '''<h1>This is your first visit</h1>
<p>Setting variable1 to 'Python Rules!'</p>
<p>Refresh this page…</p>'''
    elif isinstance(request.method(), Method_Post):
        session.destroy(fields)
        return '<h1>Session Deleted</h1>'
    else:
        html = f'''<h1>Welcome back</h1>
<p>variable1: {escape(session.get('variable1', 'not set'), quote=False)}</p>
<form method="post"><button>Destroy session</button></form>'''
    session.save(fields)
    return html


def answer(response_out, status, fields, html):
    response = OutgoingResponse(fields)
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(response_out, Ok(response))
    content = f'<!DOCTYPE html>\n<title>Visits</title>\n{html}\n'.encode()
    with body.write() as stream:
        # The stream takes at most 4096 bytes at a time.
        for start_of_part in range(0, len(content), 4096):
            stream.blocking_write_and_flush(content[start_of_part:start_of_part + 4096])
    OutgoingBody.finish(body, None)
