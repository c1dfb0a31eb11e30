"""A page that remembers its visitor, for WASI 0.3: while it waits for the store, its instance answers other visitors."""

from html import escape

import componentize_py_async_support
import wit_world
from componentize_py_types import Ok
from lemon_session_async import Error, check_same_origin, start
from wit_world import exports
from wit_world.imports.wasi_http_types import Fields, Method_Post, Request, Response


class Handler(exports.Handler):
    async def handle(self, request: Request) -> Response:
        fields = Fields.from_list([('content-type', b'text/html; charset=utf-8')])
        try:
            return answer(200, fields, await page(request, fields))
        except Error as error:
            return answer(error.status, fields, f'<p>{type(error).__name__}: {escape(str(error))}</p>')


async def page(request, fields):
    check_same_origin(request)
    session = await start(request, app='visits')
    if session.created():
        await session.set('variable1', 'Python Rules!')
        html = '''<h1>This is your first visit</h1>
<p>Setting variable1 to 'Python Rules!'</p>
<p>Refresh this page…</p>'''
    elif isinstance(request.get_method(), Method_Post):
        await session.destroy(fields)
        return '<h1>Session Deleted</h1>'
    else:
        html = f'''<h1>Welcome back</h1>
<p>variable1: {escape(await session.get('variable1', 'not set'), quote=False)}</p>
<form method="post"><button>Destroy session</button></form>'''
    await session.save(fields)
    return html


def answer(status, fields, html):
    """The session is saved by now, so its headers can be sent; the body follows."""
    writer, contents = wit_world.byte_stream()
    trailers = wit_world.result_option_wasi_http_types_fields_wasi_http_types_error_code_future(lambda: Ok(None))[1]
    response, _ = Response.new(fields, contents, trailers)
    response.set_status_code(status)
    componentize_py_async_support.spawn(write(writer, f'<!DOCTYPE html>\n<title>Visits</title>\n{html}\n'.encode()))
    return response


async def write(writer, content):
    with writer:
        await writer.write_all(content)
