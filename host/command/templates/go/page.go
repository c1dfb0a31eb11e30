package main

import (
	"html"
	"strings"
)

const style = `:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0; font: 1.0625rem/1.5 system-ui, sans-serif; }
main { max-width: 36rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; padding-left: .7rem; border-left: .4rem solid #f2c800; }
input, button, .flash { font: inherit; padding: .5rem .75rem; border: 1px solid #8888; border-radius: .4rem; }
input { display: block; width: 100%; margin: .25rem 0 .75rem; }
button { color: #222; background: #f2c800; }
.flash { border-left: .4rem solid #f2c800; }`

// page returns the page: for a visitor who is not logged in (user is empty), with the login.
func page(user string, notes, messages []string) string {
	var b strings.Builder
	for _, message := range messages {
		b.WriteString(`<p class="flash">` + html.EscapeString(message) + "</p>\n")
	}
	if user == "" {
		b.WriteString(`<p>Log in to keep notes. Any name is accepted.</p>
<form method="post" action="/login">
<label>Your name <input name="name" autocomplete="username" maxlength="100" required></label>
<button>Log in</button>
</form>`)
		return document(b.String())
	}
	b.WriteString("<p>You are logged in as " + html.EscapeString(user) + `.</p>
<form method="post" action="/notes">
<label>A note <input name="note" autocomplete="off" maxlength="200" required></label>
<button>Save</button>
</form>
<ul>
`)
	for _, note := range notes {
		b.WriteString("<li>" + html.EscapeString(note) + "</li>\n")
	}
	b.WriteString(`</ul>
<form method="post" action="/logout">
<button>Log out</button>
</form>`)
	return document(b.String())
}

// errorPage returns what a visitor sees of an error.
func errorPage(why string) string {
	return document("<p>" + html.EscapeString(why) + "</p>\n<p><a href=\"/\">Back to the page</a></p>")
}

func document(main string) string {
	return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lemon-page</title>
<link rel="icon" href="data:,">
<style>
` + style + `
</style>
<main>
<h1>lemon-page</h1>
` + main + `
</main>
</html>
`
}
