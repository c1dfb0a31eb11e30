"""How the page looks."""

from html import escape

STYLE = """\
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0; font: 1.0625rem/1.5 system-ui, sans-serif; }
main { max-width: 36rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; padding-left: .7rem; border-left: .4rem solid #f2c800; }
input, button, .flash { font: inherit; padding: .5rem .75rem; border: 1px solid #8888; border-radius: .4rem; }
input { display: block; width: 100%; margin: .25rem 0 .75rem; }
button { color: #222; background: #f2c800; }
.flash { border-left: .4rem solid #f2c800; }"""


def page(user, notes, messages):
    """The page: for a visitor who is not logged in (user is None), with the login."""
    shown = ''.join(f'<p class="flash">{text(message)}</p>\n' for message in messages)
    if user is None:
        return document(f'''{shown}<p>Log in to keep notes. Any name is accepted.</p>
<form method="post" action="/login">
<label>Your name <input name="name" autocomplete="username" maxlength="100" required></label>
<button>Log in</button>
</form>''')
    notes = ''.join(f'<li>{text(note)}</li>\n' for note in notes)
    return document(f'''{shown}<p>You are logged in as {text(user)}.</p>
<form method="post" action="/notes">
<label>A note <input name="note" autocomplete="off" maxlength="200" required></label>
<button>Save</button>
</form>
<ul>
{notes}</ul>
<form method="post" action="/logout">
<button>Log out</button>
</form>''')


def error(why):
    """What a visitor sees of an error."""
    return document(f'<p>{text(why)}</p>\n<p><a href="/">Back to the page</a></p>')


def text(plain):
    return escape(plain, quote=False)


def document(main):
    return f'''<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lemon-page</title>
<link rel="icon" href="data:,">
<style>
{STYLE}
</style>
<main>
<h1>lemon-page</h1>
{main}
</main>
</html>
'''
