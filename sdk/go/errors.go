package sessions

import (
	"errors"
	"net/http"
	"unicode/utf8"

	bindings "github.com/lemon-session/lemon-session/sdk/go/internal/bindings/lemon_session_types"
	types "github.com/lemon-session/lemon-session/sdk/go/wit/types"
)

// A Code says why a call failed, with one code for each reaction a caller can have. It is an error itself, so that
// errors.Is(err, sessions.ErrGone) tells whether the session has ended.
type Code string

const (
	// ErrInvalidName: the name of a variable, an application, an owner or a table breaks a rule.
	ErrInvalidName Code = "invalid-name"
	// ErrInvalidValue: the value cannot be stored, or the variable to add to is not an integer.
	ErrInvalidValue Code = "invalid-value"
	// ErrInvalidOption: an option of Start is invalid, alone or in combination with another one.
	ErrInvalidOption Code = "invalid-option"
	// ErrReserved: the application's name is reserved, and the caller does not hold the reservation.
	ErrReserved Code = "reserved"
	// ErrTooLarge: a limit of a variable, of the session or of the Cookie header was exceeded.
	ErrTooLarge Code = "too-large"
	// ErrUnreadable: the stored bytes are in a format that this version does not know. They are not changed.
	ErrUnreadable Code = "unreadable"
	// ErrConflict: with Strict, another request saved this session first. Start it again and repeat the changes.
	ErrConflict Code = "conflict"
	// ErrGone: the session was destroyed, has expired, or its id was rotated by a login. Nothing was saved.
	ErrGone Code = "gone"
	// ErrStorage: the store could not be reached or failed; the call may or may not have taken effect. A session that
	// cannot be read is never replaced by a new one.
	ErrStorage Code = "storage"
	// ErrDenied: the session is bound to a device, and the request did not show that it comes from there; or the host's grant to
	// this application does not include this method of the Manager.
	ErrDenied Code = "denied"
	// ErrTooMany: the visitor's address has created more sessions than the host allows in a minute, or the owner has as many as
	// the setting max-sessions allows. Nothing was saved.
	ErrTooMany Code = "too-many"
	// ErrWrongType: the variable is set, but its value is not of the requested type.
	ErrWrongType Code = "wrong-type"
	// ErrCrossSite: another site made the visitor's browser send the request: see [CheckSameOrigin].
	ErrCrossSite Code = "cross-site"
)

func (c Code) Error() string {
	return string(c)
}

// An Error is why a call failed: Code for programs, Text for people.
type Error struct {
	Code Code
	Text string
}

func (e *Error) Error() string {
	return string(e.Code) + ": " + e.Text
}

// Unwrap returns the code, for [errors.Is].
func (e *Error) Unwrap() error {
	return e.Code
}

// Status returns the HTTP status code for the response to a request that failed with this error: 500 for a mistake of
// the program or of the settings.
func (e *Error) Status() int {
	switch e.Code {
	case ErrDenied, ErrCrossSite:
		return http.StatusForbidden
	case ErrConflict, ErrGone:
		return http.StatusConflict
	case ErrTooLarge:
		return http.StatusRequestEntityTooLarge
	case ErrTooMany:
		return http.StatusTooManyRequests
	case ErrStorage:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// Status returns the HTTP status code for the response to a request that failed with an error: that of the [Error] in its
// tree, or 500.
func Status(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status()
	}
	return http.StatusInternalServerError
}

// A result is what most functions of the session component return.
type result[T any] = types.Result[T, bindings.Error]

func unwrap[T any](r result[T]) (T, error) {
	if r.IsErr() {
		var zero T
		return zero, errorOf(r.Err())
	}
	return r.Ok(), nil
}

// named calls a function of the session component with the name of a variable.
func named[T any](name string, call func(string) result[T]) (T, error) {
	if err := wellFormed("a variable's name", name); err != nil {
		var zero T
		return zero, err
	}
	return unwrap(call(name))
}

// wellFormed refuses a text that the session component cannot take.
func wellFormed(what, text string) error {
	if !utf8.ValidString(text) {
		return &Error{ErrInvalidName, what + " is not valid UTF-8"}
	}
	return nil
}

func errorOf(e bindings.Error) *Error {
	switch e.Tag() {
	case bindings.ErrorInvalidName:
		return &Error{ErrInvalidName, e.InvalidName()}
	case bindings.ErrorInvalidValue:
		return &Error{ErrInvalidValue, e.InvalidValue()}
	case bindings.ErrorInvalidOption:
		return &Error{ErrInvalidOption, e.InvalidOption()}
	case bindings.ErrorReserved:
		return &Error{ErrReserved, e.Reserved()}
	case bindings.ErrorTooLarge:
		return &Error{ErrTooLarge, e.TooLarge()}
	case bindings.ErrorUnreadable:
		return &Error{ErrUnreadable, e.Unreadable()}
	case bindings.ErrorConflict:
		return &Error{ErrConflict, "another request saved this session first"}
	case bindings.ErrorGone:
		return &Error{ErrGone, "the session has ended"}
	case bindings.ErrorStorage:
		return &Error{ErrStorage, e.Storage()}
	case bindings.ErrorDenied:
		return &Error{ErrDenied, e.Denied()}
	default:
		return &Error{ErrTooMany, e.TooMany()}
	}
}
