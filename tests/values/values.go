// What tests/tests/languages.rs asks of the Go side: the page of docs/languages.md, where a request comes from, reading,
// refusing, reading as another type, and a session with all its methods.
package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	sessions "github.com/lemon-session/lemon-session/sdk/go"
	"github.com/lemon-session/lemon-session/sdk/go/wasihttp"
)

func init() {
	for path, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"/page":        page,
		"/same-origin": sameOrigin,
		"/read":        read,
		"/write":       write,
		"/refuse":      refuse,
		"/types":       otherTypes,
		"/session":     session,
		"/handy":       handy,
		"/form":        form,
		"/evolve":      evolve,
		"/echo":        echo,
		"/headers":     headers,
	} {
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := handle(w, r); err != nil {
				http.Error(w, err.Error(), sessions.Status(err))
			}
		})
	}
	http.HandleFunc("/nowhere", func(http.ResponseWriter, *http.Request) {
		panic("nobody is here")
	})
	wasihttp.Handle(http.DefaultServeMux)
}

func main() {}

func page(w http.ResponseWriter, r *http.Request) error {
	session, err := sessions.Start(r, sessions.Options{App: "visits"})
	if err != nil {
		return err
	}
	visits, err := sessions.Get[int](session, "visits")
	if err != nil {
		return err
	}
	if err := session.Set("visits", visits+1); err != nil {
		return err
	}
	if err := session.Save(w.Header()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "This is your visit no. %d\n", visits+1)
	return err
}

func sameOrigin(w http.ResponseWriter, r *http.Request) error {
	if err := sessions.CheckSameOrigin(r); err != nil {
		w.WriteHeader(sessions.Status(err))
		_, err = fmt.Fprintln(w, err)
		return err
	}
	_, err := fmt.Fprintln(w, "from here")
	return err
}

// read shows all variables, with their types.
func read(w http.ResponseWriter, r *http.Request) error {
	session, err := sessions.Start(r, sessions.Options{App: "values"})
	if err != nil {
		return err
	}
	entries, err := session.Entries()
	if err != nil {
		return err
	}
	if err := session.Save(w.Header()); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		fmt.Fprintf(w, "%s: %T %#v\n", name, entries[name], entries[name])
	}
	return nil
}

// write sets what it read, which changes nothing.
func write(w http.ResponseWriter, r *http.Request) error {
	session, err := sessions.Start(r, sessions.Options{App: "values"})
	if err != nil {
		return err
	}
	keys, err := session.Keys()
	if err != nil {
		return err
	}
	for _, name := range keys {
		value, err := session.Get(name)
		if err != nil {
			return err
		}
		if err := session.Set(name, value); err != nil {
			return err
		}
	}
	if err := session.Save(w.Header()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, "written")
	return err
}

// refuse tells what is no plain data, and why.
func refuse(w http.ResponseWriter, r *http.Request) error {
	session, err := sessions.Start(r, sessions.Options{App: "values"})
	if err != nil {
		return err
	}
	attempt := func(err error) {
		if err == nil {
			err = errors.New("done")
		}
		fmt.Fprintln(w, err)
	}
	itself := []any{nil}
	itself[0] = itself
	deep := []any{}
	for range 127 {
		deep = []any{deep}
	}
	for _, refused := range []struct {
		name  string
		value any
	}{
		{"channel", make(chan int)},
		{"function", func() {}},
		{"complex", 1i},
		{"large", uint64(math.MaxInt64) + 1},
		{"utf-8", "\xff"},
		{"nested-channel", map[string]any{"a": make(chan int)}},
		{"nested-bytes", []any{[]byte("a")}},
		{"field-bytes", struct{ Field []byte }{}},
		{"array-bytes", [][2]byte{{1, 2}}},
		{"nested-nan", []float64{math.NaN()}},
		{"nested-inf", map[string]float32{"a": float32(math.Inf(1))}},
		{"nested-large", []uint64{math.MaxUint64}},
		{"nested-utf-8", []string{"\xff"}},
		{"key-utf-8", map[string]int{"\xff": 1}},
		{"itself", itself},
		{"deep", deep},
	} {
		attempt(session.Set(refused.name, refused.value))
	}
	attempt(session.Set("\xff", 1))
	_, err = session.Get("\xff")
	attempt(err)
	attempt(session.Set(strings.Repeat("k", 33), 1))
	attempt(session.SetOwner("\xff"))
	for _, options := range []sessions.Options{
		{Expires: 1500 * time.Millisecond},
		{Cookie: sessions.Cookie{Lifetime: new(-time.Second)}},
		{App: "\xff"},
		{Cookie: sessions.Cookie{Secure: "maybe"}},
		{Cleanup: new(2.0)},
	} {
		_, err := sessions.Start(r, options)
		attempt(err)
	}
	if err := session.Set("deep-enough", deep[0]); err != nil {
		return err
	}
	keys, err := session.Keys()
	fmt.Fprintln(w, "stored:", keys)
	return err
}

type cart struct {
	Items   []item         `json:"items"`
	Weights map[string]any `json:"weights,omitempty"`
	Since   time.Time      `json:"since"`
	Price   float64        `json:"price"`
}

type item struct {
	Name   string
	Number int
}

type userID int32

// otherTypes sets variables and reads them as a number of types.
func otherTypes(w http.ResponseWriter, r *http.Request) error {
	session, err := sessions.Start(r, sessions.Options{App: "types"})
	if err != nil {
		return err
	}
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, value := range map[string]any{
		"cart":    cart{[]item{{"lemon", 3}}, map[string]any{"net": int64(1), "gross": 1.0}, since, 2},
		"pointer": &item{"lime", 1},
		"user":    userID(7),
		"time":    since,
		"float":   float32(0.5),
		"address": net.IPv4(127, 0, 0, 1),
		"text":    "a",
		"large":   int64(1<<53 + 1),
		"nil":     nil,
		"array":   [2]bool{true, false},
	} {
		if err := session.Set(name, value); err != nil {
			return err
		}
	}
	show(w, session, sessions.Get[cart], "cart")
	show(w, session, sessions.Get[any], "cart")
	show(w, session, sessions.Get[item], "pointer")
	show(w, session, sessions.Get[*item], "absent")
	show(w, session, sessions.Get[userID], "user")
	show(w, session, sessions.Get[float64], "user")
	show(w, session, sessions.Get[time.Time], "time")
	show(w, session, sessions.Get[string], "time")
	show(w, session, sessions.Get[float32], "float")
	show(w, session, sessions.Get[net.IP], "address")
	show(w, session, sessions.Get[[2]bool], "array")
	show(w, session, sessions.Get[int], "absent")
	show(w, session, sessions.Get[int], "nil")
	show(w, session, sessions.Get[int], "text")
	show(w, session, sessions.Get[[]byte], "text")
	show(w, session, sessions.Get[int8], "large")
	show(w, session, sessions.Get[float64], "large")
	show(w, session, sessions.Get[int], "float")
	show(w, session, sessions.Take[bool], "cart")
	return nil
}

func show[T any](w io.Writer, session *sessions.Session, get func(*sessions.Session, string) (T, error), name string) {
	value, err := get(session, name)
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintf(w, "%s: %T %v\n", name, value, value)
}

// session calls every method.
func session(w http.ResponseWriter, r *http.Request) error {
	var text strings.Builder
	say := func(format string, arguments ...any) { fmt.Fprintf(&text, format+"\n", arguments...) }
	session, err := sessions.Start(r, sessions.Options{
		App:     "session",
		Expires: time.Hour,
		Cookie:  sessions.Cookie{Name: "session", SameSite: http.SameSiteStrictMode, HTTPOnly: new(false)},
	})
	if err != nil {
		return err
	}
	if err := errors.Join(session.Set("b", []any{1, map[string]any{"c": nil}}), session.Set("a", 1)); err != nil {
		return err
	}
	say("created %v, app %s, %d digits", session.Created(), session.App(), len(session.Digest()))
	say("has %v, %v; %v", must(session.Has("a")), must(session.Has("x")), must(session.Keys()))
	say("get %v, %v", must(session.Get("b")), must(session.Get("x")))
	say("add %v, %v", must(session.Add("a", 41)), must(session.Add("new", 1)))
	say("delete %v, %v", must(session.Delete("new")), must(session.Delete("new")))
	say("take %v, %v", must(session.Take("b")), must(session.Take("b")))
	say("left %v", must(session.Entries()))
	if err := session.Clear(); err != nil {
		return err
	}
	held := must(session.Reserve("held", "key"))
	if err := held.Set("secret", true); err != nil {
		return err
	}
	_, err = session.Application("held")
	say("%v, %v", errors.Is(err, sessions.ErrReserved), err)
	if err := held.Release("held"); err != nil {
		return err
	}
	say("released %v", must(must(session.Application("held")).Entries()))
	if err := errors.Join(session.SetOwner("me"), session.RegenerateID()); err != nil {
		return err
	}
	left := time.Until(session.ExpiresAt()).Round(time.Minute)
	say("owner %v, expires in %v", must(session.Owner()), left)
	if err := session.Save(w.Header()); err != nil {
		return err
	}
	var manager sessions.Manager
	for entry, err := range manager.List("me") {
		say("managed %v, %v", entry.Digest == session.Digest(), err)
	}
	say("ended %v others, %v", must(session.DestroyOthers()), must(manager.Destroy(session.Digest(), "you")))
	_, err = manager.Count()
	say("%v, %v", errors.Is(err, sessions.ErrDenied), err)
	for _, err := range manager.List("") {
		say("%v", errors.Is(err, sessions.ErrDenied))
	}
	err = manager.CreateTables()
	say("%v, %d", errors.Is(err, sessions.ErrDenied), sessions.Status(err))
	same, err := sessions.Start(nil, sessions.Options{SessionID: new(session.ID()), App: "held"})
	if err != nil {
		return err
	}
	say("same %v", must(same.Get("secret")))
	say("ended %v", must(manager.DestroyOwned("me", "")))
	_ = session.Set("one", 1)
	err = session.Save(w.Header())
	say("%v, %v", errors.Is(err, sessions.ErrGone), err)
	if found, ok := errors.AsType[*sessions.Error](err); ok {
		say("%v %v", found.Code, found.Status())
	}
	_, err = io.WriteString(w, text.String())
	return err
}

// handy shows defaults, flash messages, changes and the variables of another session.
func handy(w http.ResponseWriter, r *http.Request) error {
	var text strings.Builder
	say := func(format string, arguments ...any) { fmt.Fprintf(&text, format+"\n", arguments...) }
	session, err := sessions.Start(r, sessions.Options{App: "handy"})
	if err != nil {
		return err
	}
	say("%v %v", session.Modified(), session.Accessed())
	say("default %v %v", must(sessions.SetDefault(session, "a", 1)), must(session.SetDefault("a", 2)))
	if err := errors.Join(session.Flash("saved"), session.Flash(map[string]any{"level": "error"})); err != nil {
		return err
	}
	say("keys %d, %v %v", len(must(session.Keys())), session.Modified(), session.Accessed())
	if err := errors.Join(session.SetOwner("me"), session.Save(w.Header())); err != nil {
		return err
	}
	say("saved %v", session.Modified())
	messages := must(session.Flashes())
	level := messages[1].(map[string]any)["level"]
	say("flashes %v %v, then %d", messages[0], level, len(must(sessions.Flashes[string](session))))
	again, err := sessions.Start(nil, sessions.Options{App: "handy", SessionID: new("")})
	if err != nil {
		return err
	}
	if err := again.SetOwner("me"); err != nil {
		return err
	}
	say("of the other %v", must(again.EntriesOf(session.Digest()))["a"])
	say("of none %d", len(must(again.EntriesOf(strings.Repeat("0", 64)))))
	if _, err = again.EntriesOf("none"); errors.Is(err, sessions.ErrInvalidName) {
		say("InvalidName")
	}
	_, err = io.WriteString(w, text.String())
	return err
}

// form needs a token if the request does not tell where it comes from.
func form(w http.ResponseWriter, r *http.Request) error {
	session, err := sessions.Start(r, sessions.Options{App: "form"})
	if err != nil {
		return err
	}
	text := "accepted"
	if r.Method == http.MethodPost {
		err = session.CheckCSRF(r, r.Header.Get("X-Token"))
	} else {
		text, err = session.CSRFToken()
	}
	if err != nil {
		return err
	}
	if err := session.Save(w.Header()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, text)
	return err
}

// Cart is what is in the cart. Version 2 has a currency.
type Cart struct {
	Items    []string `json:"items"`
	Total    int      `json:"total"`
	Currency string   `json:"currency"`
}

func cartOf(session *sessions.Session) (Cart, error) {
	cart, err := sessions.Get[Cart](session, "cart")
	if cart.Currency == "" {
		cart.Currency = "EUR"
	}
	return cart, err
}

// evolve reads a variable that an older version of the page has set.
func evolve(w http.ResponseWriter, r *http.Request) error {
	session, err := sessions.Start(r, sessions.Options{App: "evolve"})
	if err != nil {
		return err
	}
	if err := session.Set("cart", map[string]any{"items": []string{"tea"}, "total": 2}); err != nil {
		return err
	}
	fmt.Fprintf(w, "%+v\n", must(cartOf(session)))
	if err := session.Set("cart", must(cartOf(session))); err != nil {
		return err
	}
	fmt.Fprintf(w, "%v\n", must(session.Get("cart")))
	if err := session.Set("cart", map[string]any{"items": []string{"tea"}, "total": "2"}); err != nil {
		return err
	}
	_, err = cartOf(session)
	_, err = fmt.Fprintln(w, err)
	return err
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// echo answers with what the request is.
func echo(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s %s?%s %d %q %q\n", r.Method, r.URL.Path, r.URL.RawQuery, r.ContentLength, r.Header["X-Two"], r.Host)
	_, err = w.Write(body)
	return err
}

// headers answers with a status, and with headers that save merges its own with.
func headers(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Vary", "Accept, cookie")
	w.Header().Set("Connection", "close")
	session, err := sessions.Start(r, sessions.Options{App: "headers"})
	if err != nil {
		return err
	}
	if err := session.Save(w.Header()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusTeapot)
	w.WriteHeader(http.StatusOK)
	return nil
}
