// A page that remembers its visitor: the example of Python's lemon.session, in Go.
package main

import (
	"fmt"
	"html"
	"net/http"

	sessions "github.com/lemon-session/lemon-session/sdk/go"
	"github.com/lemon-session/lemon-session/sdk/go/wasihttp"
)

func init() {
	wasihttp.Handle(http.HandlerFunc(answer))
}

func main() {}

func answer(w http.ResponseWriter, r *http.Request) {
	body, err := page(w, r)
	if err != nil {
		http.Error(w, err.Error(), sessions.Status(err))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!DOCTYPE html>\n<title>Visits</title>\n%s\n", body)
}

func page(w http.ResponseWriter, r *http.Request) (string, error) {
	if err := sessions.CheckSameOrigin(r); err != nil {
		return "", err
	}
	session, err := sessions.Start(r, sessions.Options{App: "visits"})
	if err != nil {
		return "", err
	}
	if session.Created() {
		if err := session.Set("variable1", "Python Rules!"); err != nil {
			return "", err
		}
		return `<h1>This is your first visit</h1>
<p>Setting variable1 to 'Python Rules!'</p>
<p>Refresh this page…</p>`, session.Save(w.Header())
	}
	if r.Method == http.MethodPost {
		return "<h1>Session Deleted</h1>", session.Destroy(w.Header())
	}
	variable1, err := sessions.Get[string](session, "variable1")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`<h1>Welcome back</h1>
<p>variable1: %s</p>
<form method="post"><button>Destroy session</button></form>`, html.EscapeString(variable1)), session.Save(w.Header())
}
