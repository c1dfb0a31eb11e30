// Package sessions gives WebAssembly applications in Go sessions: variables that belong to one visitor and are available
// again on the visitor's next request.
//
// A handler starts the session of its request, uses it, and saves it before it writes the response:
//
//	session, err := sessions.Start(r, sessions.Options{App: "visits"})
//	if err != nil {
//		return err
//	}
//	visits, err := session.Add("visits", 1)
//	if err != nil {
//		return err
//	}
//	if err := session.Save(w.Header()); err != nil {
//		return err
//	}
//
// A variable is plain data: nil, a bool, an integer of at most 64 bits, a float64, a string, a []byte, or a slice, map or
// struct of these without []byte. It is read back as it was stored; what JSON cannot express inside a slice, map or
// struct is refused with [ErrInvalidValue], never altered.
//
// The package wasihttp serves an [http.Handler] as a component.
package sessions

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	bindings "github.com/lemon-session/lemon-session/sdk/go/internal/bindings/lemon_session_sessions"
	stored "github.com/lemon-session/lemon-session/sdk/go/internal/bindings/lemon_session_types"
	"github.com/lemon-session/lemon-session/sdk/go/internal/handles"
	types "github.com/lemon-session/lemon-session/sdk/go/wit/types"
)

// A Session is one application's view of a session.
//
// All handles of one start share their changes, and Save on any of them saves all of these. Changes that are not saved are
// discarded at the end of the request. After the session has ended, every method that returns an error returns [ErrGone].
type Session struct {
	handle *bindings.Session
}

// Start starts the session that the request's cookie names, or a new one. The request may be nil if the options have a
// SessionID.
func Start(request *http.Request, options Options) (*Session, error) {
	parameters, err := options.parameters(request)
	if err != nil {
		return nil, err
	}
	return opened(bindings.Start(parameters))
}

// opened returns the session of a result. Its handle is dropped at the end of the request.
func opened(session result[*bindings.Session]) (*Session, error) {
	handle, err := unwrap(session)
	if err != nil {
		return nil, err
	}
	handles.Add(handle)
	return &Session{handle}, nil
}

// Get returns the value of a variable, or nil if it is not set. It is a nil, bool, int64, float64, string, []byte, []any or
// map[string]any; [Get] returns a value of another type.
func (s *Session) Get(name string) (any, error) {
	return Get[any](s, name)
}

// Get returns the value of a variable as a T, or the zero value if it is not set or nil. Slices, maps and structs are read
// as encoding/json/v2 reads them. A value that is not a T is an [ErrWrongType].
func Get[T any](s *Session, name string) (T, error) {
	value, err := named(name, s.handle.Get)
	return optional[T](name, value, err)
}

// Set sets a variable.
func (s *Session) Set(name string, value any) error {
	stored, err := toValue(name, value)
	if err != nil {
		return err
	}
	_, err = named(name, func(name string) result[types.Unit] { return s.handle.Set(name, stored) })
	return err
}

// Add adds to an integer and returns the sum. A variable that is not set counts as 0. No addition is lost to a concurrent
// request.
func (s *Session) Add(name string, delta int64) (int64, error) {
	return named(name, func(name string) result[int64] { return s.handle.Add(name, delta) })
}

// Delete removes a variable and returns whether it was set.
func (s *Session) Delete(name string) (bool, error) {
	return named(name, s.handle.Delete)
}

// Has returns whether a variable is set.
func (s *Session) Has(name string) (bool, error) {
	return named(name, s.handle.HasKey)
}

// Keys returns the names of all variables, sorted.
func (s *Session) Keys() ([]string, error) {
	return unwrap(s.handle.Keys())
}

// Entries returns all variables, with values as [Session.Get] returns them.
func (s *Session) Entries() (map[string]any, error) {
	return values(s.handle.Entries())
}

// values returns the variables of a result.
func values(result result[[]types.Tuple2[string, stored.Value]]) (map[string]any, error) {
	entries, err := unwrap(result)
	if err != nil {
		return nil, err
	}
	values := make(map[string]any, len(entries))
	for _, entry := range entries {
		if values[entry.F0], err = fromValue[any](entry.F0, entry.F1); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// Take reads a variable as [Session.Get] does and removes it: for messages that are shown once.
func (s *Session) Take(name string) (any, error) {
	return Take[any](s, name)
}

// Take reads a variable as [Get] does and removes it.
func Take[T any](s *Session, name string) (T, error) {
	value, err := named(name, s.handle.Take)
	return optional[T](name, value, err)
}

// Clear removes all of the application's variables, including those that concurrent requests set before this change is
// saved.
func (s *Session) Clear() error {
	_, err := unwrap(s.handle.Clear())
	return err
}

// ID returns the session's id; after RegenerateID, the new one. It is a secret: a client that sends it has the session.
func (s *Session) ID() string {
	return s.handle.Id()
}

// Digest returns the SHA-256 digest of the id in hexadecimal, which identifies the session to the store and the
// [Manager]. After RegenerateID, this is the digest of the old id until Save. Not a secret.
func (s *Session) Digest() string {
	return s.handle.Digest()
}

// App returns the application whose variables this handle reads and writes.
func (s *Session) App() string {
	return s.handle.App()
}

// Created returns whether Start created the session.
func (s *Session) Created() bool {
	return s.handle.Created()
}

// Application returns the same session, with the variables of another application.
func (s *Session) Application(name string) (*Session, error) {
	if err := wellFormed("a name", name); err != nil {
		return nil, err
	}
	return opened(s.handle.Application(name))
}

// Reserve reserves an application name and returns the only handle that can access its variables from now on. With a
// secret it can be reserved again; "" is none.
func (s *Session) Reserve(name, secret string) (*Session, error) {
	if err := errors.Join(wellFormed("a name", name), wellFormed("a secret", secret)); err != nil {
		return nil, err
	}
	return opened(s.handle.Reserve(name, some(secret)))
}

// Release ends the reservation of a name. Only a handle that Reserve returned for it can do this.
func (s *Session) Release(name string) error {
	if err := wellFormed("a name", name); err != nil {
		return err
	}
	_, err := unwrap(s.handle.Release(name))
	return err
}

// RegenerateID rotates the session's id: it gets a new one when it is saved, and the old one stops working then. Call this
// at each login and each change of privileges.
func (s *Session) RegenerateID() error {
	_, err := unwrap(s.handle.RegenerateId())
	return err
}

// SetOwner sets the session's owner, usually the user who logged in, or with "" removes it.
func (s *Session) SetOwner(owner string) error {
	if err := wellFormed("an owner", owner); err != nil {
		return err
	}
	_, err := unwrap(s.handle.SetOwner(some(owner)))
	return err
}

// Owner returns the session's owner, or "".
func (s *Session) Owner() (string, error) {
	owner, err := unwrap(s.handle.Owner())
	if err != nil {
		return "", err
	}
	return owner.SomeOr(""), nil
}

// DestroyOthers ends all other live sessions of this session's owner immediately and returns their number. Call it when a
// password changes.
func (s *Session) DestroyOthers() (uint64, error) {
	return unwrap(s.handle.DestroyOthers())
}

// Authenticate notes that the owner has logged in, now and by this method, such as "password" or "passkey", and rotates the
// session's id: it gets a new one when it is saved. Call this at each login, and each time that the owner has proved again
// who it is. With the setting max-sessions, the save ends the owner's session whose login is the oldest, or fails with ErrTooMany,
// if the owner has too many.
func (s *Session) Authenticate(owner, method string) error {
	if err := errors.Join(wellFormed("an owner", owner), wellFormed("a method", method)); err != nil {
		return err
	}
	_, err := unwrap(s.handle.Authenticate(owner, method))
	return err
}

// FreshWithin returns whether the owner has logged in within a time, in whole seconds: for pages that ask for the password
// again.
func (s *Session) FreshWithin(d time.Duration) (bool, error) {
	seconds, err := secondsOf("a time", d)
	if err != nil {
		return false, err
	}
	return unwrap(s.handle.FreshWithin(seconds))
}

// A Lifetime is how long a session lasts, in whole seconds. What is nil is as the host's settings say.
type Lifetime struct {
	// Expires is the idle time.
	Expires *time.Duration
	// MaxLifetime is the time from now after which the session ends however often it is used.
	MaxLifetime *time.Duration
	// Cookie is the lifetime of the cookie; 0 means until the browser closes. It follows Expires if only that is given.
	Cookie *time.Duration
}

// SetLifetime sets how long the session lasts, shorter or longer than before, from its next save on. This is stored with the
// session and applies to all later requests.
func (s *Session) SetLifetime(lifetime Lifetime) error {
	var given bindings.Lifetime
	for _, one := range []struct {
		name string
		time *time.Duration
		into *types.Option[uint32]
	}{
		{"Expires", lifetime.Expires, &given.Expires},
		{"MaxLifetime", lifetime.MaxLifetime, &given.MaxLifetime},
		{"Cookie", lifetime.Cookie, &given.Cookie},
	} {
		*one.into = types.None[uint32]()
		if one.time != nil {
			seconds, err := secondsOf(one.name, *one.time)
			if err != nil {
				return err
			}
			*one.into = types.Some(seconds)
		}
	}
	_, err := unwrap(s.handle.SetLifetime(given))
	return err
}

// Remember is "remember me": the session and its cookie last this long after each use, also when the browser is closed.
func (s *Session) Remember(d time.Duration) error {
	seconds, err := secondsOf("a time", d)
	if err != nil {
		return err
	}
	_, err = unwrap(s.handle.Remember(seconds))
	return err
}

// SetLabel sets what the owner calls the session, such as the name of the device, or with "" removes it.
func (s *Session) SetLabel(label string) error {
	if err := wellFormed("a label", label); err != nil {
		return err
	}
	_, err := unwrap(s.handle.SetLabel(some(label)))
	return err
}

// Metadata is what is known of a session, for its user.
type Metadata struct {
	Created  time.Time
	Accessed time.Time
	// AbsoluteExpiry is when the session expires however often it is used; zero without such a limit.
	AbsoluteExpiry time.Time
	// AuthenticatedAt is when its owner last logged in; zero if nobody has.
	AuthenticatedAt time.Time
	// Method is how its owner logged in, or "".
	Method string
	// Label is what its owner calls it, or "".
	Label string
	// Address is the client's address when it began or its owner logged in, or "" if the site does not keep it.
	Address string
	// UserAgent is that of the client then, or "" if the site does not keep it.
	UserAgent string
}

// Metadata returns what is known of the session.
func (s *Session) Metadata() (Metadata, error) {
	known, err := unwrap(s.handle.Metadata())
	if err != nil {
		return Metadata{}, err
	}
	return Metadata{
		at(known.Created), at(known.Accessed), atIfAny(known.AbsoluteExpiry), atIfAny(known.AuthenticatedAt),
		known.Method.SomeOr(""), known.Label.SomeOr(""), known.Address.SomeOr(""), known.UserAgent.SomeOr(""),
	}, nil
}

func at(seconds uint64) time.Time { return time.Unix(int64(seconds), 0) }

// atIfAny returns the zero time for none.
func atIfAny(seconds types.Option[uint64]) time.Time {
	if seconds.IsNone() {
		return time.Time{}
	}
	return at(seconds.Some())
}

// secondsOf returns the whole seconds of a time.
func secondsOf(what string, d time.Duration) (uint32, error) {
	seconds := d.Seconds()
	if seconds < 0 || seconds >= 1<<32 || seconds != math.Trunc(seconds) {
		return 0, &Error{ErrInvalidOption, what + " is not a whole number of seconds from 0 to 1<<32-1"}
	}
	return uint32(seconds), nil
}

// ExpiresAt returns the time at which the session expires unless it is used again. A new lifetime shows after Save.
func (s *Session) ExpiresAt() time.Time {
	return time.Unix(int64(s.handle.ExpiresAt()), 0)
}

// Save stores all changes in one transaction and adds what a response needs to its header: an existing Cache-Control takes
// precedence, unless a cookie is set. Call it in every request, even one that only reads, before the response is written:
// it extends the session and the cookie.
func (s *Session) Save(header http.Header) error {
	return send(header, s.handle.Save())
}

// Destroy ends the session immediately, discards unsaved changes, and adds to the header of the response what deletes the
// cookie.
func (s *Session) Destroy(header http.Header) error {
	return send(header, s.handle.Destroy())
}

// SetDefault sets a variable unless it is set already, and returns its value as [Session.Get] does.
func (s *Session) SetDefault(name string, value any) (any, error) {
	return SetDefault[any](s, name, value)
}

// SetDefault sets a variable unless it is set already, and returns its value as [Get] does.
func SetDefault[T any](s *Session, name string, value T) (T, error) {
	var zero T
	converted, err := toValue(name, value)
	if err != nil {
		return zero, err
	}
	current, err := named(name, func(name string) result[stored.Value] { return s.handle.SetDefault(name, converted) })
	if err != nil {
		return zero, err
	}
	return fromValue[T](name, current)
}

// Flash leaves a flash message: a value that waits for the next call of Flashes, in this request or a later one.
//
// Requests that leave messages at the same time keep each other's. At most 100 messages of an application wait; a further
// one replaces the oldest. They count for the limits of variables and of the session, Clear removes them, and no other
// method shows them.
func (s *Session) Flash(message any) error {
	converted, err := toValue("flash", message)
	if err != nil {
		return err
	}
	_, err = unwrap(s.handle.Flash(converted))
	return err
}

// Flashes takes all flash messages of the application, oldest first, as [Session.Get] returns values. They are gone once
// this is saved; two requests that take them at the same time both get them.
func (s *Session) Flashes() ([]any, error) {
	return Flashes[any](s)
}

// Flashes takes all flash messages as [Get] returns values. One that is not a T, such as one that an older version of the
// application left, is dropped.
func Flashes[T any](s *Session) ([]T, error) {
	waiting, err := unwrap(s.handle.Flashes())
	if err != nil {
		return nil, err
	}
	messages := make([]T, 0, len(waiting))
	for _, value := range waiting {
		if message, err := fromValue[T]("flash", value); err == nil {
			messages = append(messages, message)
		}
	}
	return messages, nil
}

// EntriesOf returns all variables of the application in another session of the same owner, as Entries does; none if the
// owner has no such session. A login takes over with it what the user's session on another device has.
func (s *Session) EntriesOf(digest string) (map[string]any, error) {
	if err := wellFormed("a digest", digest); err != nil {
		return nil, err
	}
	return values(s.handle.EntriesOf(digest))
}

// CSRFToken returns a token against forged requests, to be put into a form or a header for CheckCSRF. The text differs with
// each call. It is valid until the session ends or RegenerateID is saved; after that call, this returns a token of the new
// id.
func (s *Session) CSRFToken() (string, error) {
	return unwrap(s.handle.CsrfToken())
}

// CheckCSRF returns [ErrCrossSite] for a request that another site made the visitor's browser send, as [CheckSameOrigin]
// does, and for a request with neither Sec-Fetch-Site nor Origin unless it brings a token of this session. Browsers that are
// older than these headers are covered too.
func (s *Session) CheckCSRF(request *http.Request, token string) error {
	if known, err := isKnown(request); known || err != nil {
		return err
	}
	if valid, err := unwrap(s.handle.CheckCsrf(strings.ToValidUTF8(token, ""))); valid || err != nil {
		return err
	}
	return &Error{
		ErrCrossSite,
		"the request has neither Sec-Fetch-Site nor Origin, and no valid token of this session",
	}
}

// Modified returns whether there are changes that Save would write: of a variable or message of any application, the owner
// or the id. That a use of the session extends it is no such change.
func (s *Session) Modified() bool {
	return s.handle.Modified()
}

// Accessed returns whether a variable, message, token or owner was read or changed since Start, with any handle. If not,
// the response does not depend on the visitor's session.
func (s *Session) Accessed() bool {
	return s.handle.Accessed()
}
