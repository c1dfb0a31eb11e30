// A page with a login, a form, and messages that are shown once.
//
// Every change is a POST that is answered with a redirect to the page, so that a reload repeats nothing.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	sessions "github.com/lemon-session/lemon-session/sdk/go"
	"github.com/lemon-session/lemon-session/sdk/go/wasihttp"
)

const (
	longestName = 100
	longestNote = 200
	mostNotes   = 20
)

func init() {
	wasihttp.Handle(http.HandlerFunc(answer))
}

func main() {}

func answer(w http.ResponseWriter, r *http.Request) {
	if err := respond(w, r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		send(w, sessions.Status(err), errorPage(err.Error()))
	}
}

func respond(w http.ResponseWriter, r *http.Request) error {
	// A form on another site could log the visitor in under a name that is not the visitor's own.
	if err := sessions.CheckSameOrigin(r); err != nil {
		return err
	}
	var handle func(http.ResponseWriter, *http.Request, *sessions.Session) error
	switch {
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Path == "/":
		handle = show
	case r.Method == http.MethodPost && r.URL.Path == "/login":
		handle = login
	case r.Method == http.MethodPost && r.URL.Path == "/notes":
		handle = note
	case r.Method == http.MethodPost && r.URL.Path == "/logout":
		handle = logout
	default:
		send(w, http.StatusNotFound, errorPage("There is no such page."))
		return nil
	}
	session, err := sessions.Start(r, sessions.Options{})
	if err != nil {
		return err
	}
	return handle(w, r, session)
}

func show(w http.ResponseWriter, r *http.Request, session *sessions.Session) error {
	user, err := sessions.Get[string](session, "user")
	if err != nil {
		return err
	}
	notes, err := sessions.Get[[]string](session, "notes")
	if err != nil {
		return err
	}
	messages, err := sessions.Flashes[string](session)
	if err != nil {
		return err
	}
	if err := session.Save(w.Header()); err != nil {
		return err
	}
	send(w, http.StatusOK, page(user, notes, messages))
	return nil
}

func login(w http.ResponseWriter, r *http.Request, session *sessions.Session) error {
	name := field(r, "name")
	if name == "" || utf8.RuneCountInString(name) > longestName {
		return redirect(w, session, fmt.Sprintf("Enter a name of 1 to %d characters.", longestName))
	}
	// Any name is accepted here: check a password before this.
	if err := session.Authenticate(name, "name"); err != nil {
		return err
	}
	if err := session.Set("user", name); err != nil {
		return err
	}
	return redirect(w, session, fmt.Sprintf("Welcome, %s.", name))
}

func note(w http.ResponseWriter, r *http.Request, session *sessions.Session) error {
	user, err := sessions.Get[string](session, "user")
	if err != nil {
		return err
	}
	text := field(r, "note")
	if user == "" {
		return redirect(w, session, "Log in first.")
	}
	if text == "" || utf8.RuneCountInString(text) > longestNote {
		return redirect(w, session, fmt.Sprintf("Enter a note of 1 to %d characters.", longestNote))
	}
	notes, err := sessions.Get[[]string](session, "notes")
	if err != nil {
		return err
	}
	notes = append(notes, text)
	if err := session.Set("notes", notes[max(0, len(notes)-mostNotes):]); err != nil {
		return err
	}
	return redirect(w, session, "Your note is saved.")
}

func logout(w http.ResponseWriter, r *http.Request, session *sessions.Session) error {
	if err := session.Destroy(w.Header()); err != nil {
		return err
	}
	return toPage(w)
}

// redirect saves the session with a message for the page, and sends the visitor there.
func redirect(w http.ResponseWriter, session *sessions.Session, message string) error {
	if err := session.Flash(message); err != nil {
		return err
	}
	if err := session.Save(w.Header()); err != nil {
		return err
	}
	return toPage(w)
}

func toPage(w http.ResponseWriter) error {
	w.Header().Set("Location", "/")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// field returns a field of the form without control characters, which no name may contain; empty if the form does not have it.
func field(r *http.Request, name string) string {
	printable := func(char rune) rune {
		if unicode.IsControl(char) {
			return ' '
		}
		return char
	}
	text := strings.ToValidUTF8(r.PostFormValue(name), "\uFFFD")
	return strings.TrimSpace(strings.Map(printable, text))
}

func send(w http.ResponseWriter, status int, html string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprint(w, html)
}
