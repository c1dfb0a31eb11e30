package sessions

import (
	"fmt"
	"math"
	"net/http"
	"time"
	"unicode/utf8"

	bindings "github.com/lemon-session/lemon-session/sdk/go/internal/bindings/lemon_session_sessions"
	lemon "github.com/lemon-session/lemon-session/sdk/go/internal/bindings/lemon_session_types"
	types "github.com/lemon-session/lemon-session/sdk/go/wit/types"
)

// Options are the parameters of [Start]. A zero value stands for the host's setting; where zero means something else, the
// field is a pointer: Strict: new(true).
type Options struct {
	// App is the application whose variables the session reads and writes: 1 to 255 characters.
	App string
	// SessionID is the id of the session to use instead of cookies. An unknown or malformed id, such as "" for a new
	// visitor, starts a new session.
	SessionID *string
	// Storage is the name of the store in the host's configuration.
	Storage string
	// Table is the table that holds the sessions.
	Table string
	// Expires is the idle time: the session lasts at least this long after its last use. A whole number of seconds.
	Expires time.Duration
	// Cookie has the attributes of the cookie.
	Cookie Cookie
	// Seed is mixed into new ids. It cannot weaken them.
	Seed string
	// Cleanup is the probability, from 0 to 1, that this start triggers a cleanup of expired sessions.
	Cleanup *float64
	// Strict makes Save return ErrConflict when another request saved this session first.
	Strict *bool
	// CacheLimiter decides on the Cache-Control of the response.
	CacheLimiter CacheLimiter
}

// A Cookie has the attributes of a session's cookie. A zero value stands for the host's setting.
type Cookie struct {
	Name string
	Path string
	// Domain is the domain that gets the cookie, with all its subdomains; "" is this host alone.
	Domain *string
	Secure Secure
	// HTTPOnly hides the cookie from the page's scripts.
	HTTPOnly    *bool
	SameSite    http.SameSite
	Partitioned *bool
	// Lifetime is how long browsers keep the cookie, in whole seconds; 0 is until the browser closes.
	Lifetime *time.Duration
	Comment  string
}

// Secure decides when a cookie has the attribute Secure.
type Secure string

const (
	SecureAuto Secure = "auto" // for requests over HTTPS
	SecureOn   Secure = "on"
	SecureOff  Secure = "off"
)

// A CacheLimiter decides what caches may do with a response, as session.cache_limiter of PHP does.
type CacheLimiter string

const (
	CacheNone    CacheLimiter = "none"    // the application sends its own Cache-Control
	CacheNot     CacheLimiter = "nocache" // nothing is kept
	CachePrivate CacheLimiter = "private" // the browser may keep it
	CachePublic  CacheLimiter = "public"  // every cache may keep it
)

var (
	secures = map[Secure]lemon.Secure{
		SecureAuto: lemon.SecureAuto, SecureOn: lemon.SecureOn, SecureOff: lemon.SecureOff,
	}
	sameSites = map[http.SameSite]lemon.SameSite{
		http.SameSiteStrictMode: lemon.SameSiteStrict, http.SameSiteLaxMode: lemon.SameSiteLax,
		http.SameSiteNoneMode: lemon.SameSiteNone,
	}
	cacheLimiters = map[CacheLimiter]lemon.CacheLimiter{
		CacheNone: lemon.CacheLimiterNone, CacheNot: lemon.CacheLimiterNocache,
		CachePrivate: lemon.CacheLimiterPrivate, CachePublic: lemon.CacheLimiterPublic,
	}
)

func (o *Options) parameters(request *http.Request) (bindings.Options, error) {
	var c checker
	cookie := bindings.Cookie{
		Name:        c.text("Cookie.Name", o.Cookie.Name),
		Path:        c.text("Cookie.Path", o.Cookie.Path),
		Domain:      c.pointer("Cookie.Domain", o.Cookie.Domain),
		Secure:      oneOf(&c, "Cookie.Secure", o.Cookie.Secure, secures),
		HttpOnly:    given(o.Cookie.HTTPOnly),
		SameSite:    oneOf(&c, "Cookie.SameSite", o.Cookie.SameSite, sameSites),
		Partitioned: given(o.Cookie.Partitioned),
		Comment:     c.text("Cookie.Comment", o.Cookie.Comment),
		Lifetime:    c.seconds("Cookie.Lifetime", o.Cookie.Lifetime),
	}
	expires := &o.Expires
	if o.Expires == 0 {
		expires = nil
	}
	parameters := bindings.Options{
		App:          c.text("App", o.App),
		SessionId:    c.pointer("SessionID", o.SessionID),
		Location:     lemon.Location{Storage: c.text("Storage", o.Storage), Table: c.text("Table", o.Table)},
		Expires:      c.seconds("Expires", expires),
		Cookie:       types.Some(cookie),
		Seed:         c.text("Seed", o.Seed),
		Cleanup:      given(o.Cleanup),
		Strict:       given(o.Strict),
		CacheLimiter: oneOf(&c, "CacheLimiter", o.CacheLimiter, cacheLimiters),
	}
	if request != nil {
		for _, field := range request.Header["Cookie"] {
			parameters.Cookies = append(parameters.Cookies, []byte(field))
		}
		parameters.Https = isHTTPS(request)
	}
	return parameters, c.err
}

// A checker keeps the first error of several options.
type checker struct{ err error }

func (c *checker) fail(format string, arguments ...any) {
	if c.err == nil {
		c.err = &Error{ErrInvalidOption, fmt.Sprintf(format, arguments...)}
	}
}

func (c *checker) text(name, value string) types.Option[string] {
	if value == "" {
		return types.None[string]()
	}
	return c.pointer(name, &value)
}

func (c *checker) pointer(name string, value *string) types.Option[string] {
	if value != nil && !utf8.ValidString(*value) {
		c.fail("%s is not valid UTF-8", name)
	}
	return given(value)
}

func (c *checker) seconds(name string, value *time.Duration) types.Option[uint32] {
	if value == nil {
		return types.None[uint32]()
	}
	if seconds := *value / time.Second; *value%time.Second == 0 && seconds >= 0 && seconds <= math.MaxUint32 {
		return types.Some(uint32(seconds))
	}
	c.fail("%s must be a whole number of seconds from 0 to 2^32-1, not %v", name, *value)
	return types.None[uint32]()
}

// oneOf returns the case of an enum that a value stands for. The zero value stands for none, as does http.SameSiteDefaultMode.
func oneOf[V comparable](c *checker, name string, value V, cases map[V]uint8) types.Option[uint8] {
	var zero V
	if one, ok := cases[value]; ok {
		return types.Some(one)
	}
	if value != zero && any(value) != http.SameSiteDefaultMode {
		c.fail("%s has the unknown value %#v", name, value)
	}
	return types.None[uint8]()
}

// given is the value that a pointer points to, if there is one.
func given[T any](value *T) types.Option[T] {
	if value == nil {
		return types.None[T]()
	}
	return types.Some(*value)
}

// some is a text, if it is not empty.
func some(text string) types.Option[string] {
	if text == "" {
		return types.None[string]()
	}
	return types.Some(text)
}
