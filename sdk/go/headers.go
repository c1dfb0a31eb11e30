package sessions

import (
	"net/http"
	"slices"
	"strings"

	bindings "github.com/lemon-session/lemon-session/sdk/go/internal/bindings/lemon_session_types"
)

// send adds the headers that save or destroy returned to those of a response, merging those that exist.
func send(header http.Header, saved result[[]bindings.Header]) error {
	headers, err := unwrap(saved)
	if err != nil {
		return err
	}
	setsCookie := slices.ContainsFunc(headers, func(one bindings.Header) bool { return one.F0 == "set-cookie" })
	for _, one := range headers {
		name, value := one.F0, one.F1
		switch there := header.Values(name); {
		case name == "cache-control" && len(there) > 0:
			// No cache may store a response that sets a cookie.
			if setsCookie {
				header.Set(name, value)
			}
		case name == "vary" && varies(there, value):
		// Two starts in one request can both return the same cookie.
		case !slices.Contains(there, value):
			header.Add(name, value)
		}
	}
	return nil
}

// varies returns whether the values of a Vary field have a name.
func varies(values []string, name string) bool {
	for one := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}
