package sessions

import (
	"net/http"
	"strings"
)

// isHTTPS returns whether the visitor sent a request over HTTPS.
func isHTTPS(request *http.Request) bool {
	if request.TLS != nil {
		return true
	}
	forwarded := request.Header.Values("X-Forwarded-Proto")
	if len(forwarded) == 0 {
		return false
	}
	// The last value comes from the nearest proxy, as a client can only add values before it.
	last := forwarded[len(forwarded)-1]
	last = last[strings.LastIndexByte(last, ',')+1:]
	return strings.EqualFold(strings.TrimSpace(last), "https")
}

// CheckSameOrigin returns [ErrCrossSite] for a request that another site made the visitor's browser send, for example a
// forged form that logs the visitor in or changes the visitor's data (CSRF). Call it before a request with a method such as
// POST changes anything.
//
// GET, HEAD, OPTIONS and TRACE pass, so the application must not change anything in response to them. Sec-Fetch-Site, which
// browsers send over HTTPS and to localhost, must be same-origin or none. Without it, Origin must match the host and port
// that the request was sent to; a proxy in front of the server must pass Host on. A request with neither header passes, as
// it does not come from a browser.
func CheckSameOrigin(request *http.Request) error {
	_, err := isKnown(request)
	return err
}

// isKnown does what CheckSameOrigin does, and returns whether the request is known to be harmless. If not, it has neither
// header.
func isKnown(request *http.Request) (bool, error) {
	switch request.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true, nil
	}
	sites, origins := request.Header.Values("Sec-Fetch-Site"), request.Header.Values("Origin")
	if len(sites) > 0 {
		for _, site := range sites {
			if site != "same-origin" && site != "none" {
				return false, &Error{ErrCrossSite, "the request comes from another origin: Sec-Fetch-Site says so"}
			}
		}
		return true, nil
	}
	if len(origins) == 0 || len(origins) == 1 && isOwn(origins[0], request.Host, isHTTPS(request)) {
		return len(origins) == 1, nil
	}
	return false, &Error{
		ErrCrossSite,
		"the request comes from another origin: its Origin does not match its Host, which a proxy must pass on",
	}
}

// isOwn returns whether an origin, such as https://example.org, is that of the request. The scheme's default port is optional
// in both.
func isOwn(origin, host string, https bool) bool {
	scheme, origin, _ := strings.Cut(origin, "://")
	var port string
	switch {
	case scheme == "http" && !https:
		port = ":80"
	case scheme == "https":
		port = ":443"
	default:
		return false
	}
	return origin != "" && host != "" &&
		strings.EqualFold(strings.TrimSuffix(host, port), strings.TrimSuffix(origin, port))
}
