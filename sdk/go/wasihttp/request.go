package wasihttp

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/lemon-session/lemon-session/sdk/go/internal/bindings/wasi_http_types"
	"github.com/lemon-session/lemon-session/sdk/go/internal/bindings/wasi_io_streams"
)

var methods = map[uint8]string{
	wasi_http_types.MethodGet:     http.MethodGet,
	wasi_http_types.MethodHead:    http.MethodHead,
	wasi_http_types.MethodPost:    http.MethodPost,
	wasi_http_types.MethodPut:     http.MethodPut,
	wasi_http_types.MethodDelete:  http.MethodDelete,
	wasi_http_types.MethodConnect: http.MethodConnect,
	wasi_http_types.MethodOptions: http.MethodOptions,
	wasi_http_types.MethodTrace:   http.MethodTrace,
	wasi_http_types.MethodPatch:   http.MethodPatch,
}

// requestOf returns a request as a server of net/http has it. RemoteAddr is empty, as wasi:http does not tell it.
func requestOf(incoming *wasi_http_types.IncomingRequest) (*http.Request, error) {
	target := incoming.PathWithQuery().SomeOr("/")
	location, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, fmt.Errorf("the request has an invalid target: %w", err)
	}
	request := &http.Request{
		Method:        methodOf(incoming.Method()),
		URL:           location,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{},
		Host:          incoming.Authority().SomeOr(""),
		RequestURI:    target,
		ContentLength: -1,
	}
	fields := incoming.Headers()
	for _, field := range fields.Entries() {
		request.Header.Add(field.F0, string(field.F1))
	}
	fields.Drop()
	if scheme := incoming.Scheme(); scheme.IsSome() && scheme.Some().Tag() == wasi_http_types.SchemeHttps {
		request.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	if length, err := strconv.ParseInt(strings.TrimSpace(request.Header.Get("Content-Length")), 10, 64); err == nil {
		request.ContentLength = length
	}
	request.Body = bodyOf(incoming)
	return request, nil
}

func methodOf(method wasi_http_types.Method) string {
	if method.Tag() == wasi_http_types.MethodOther {
		return method.Other()
	}
	return methods[method.Tag()]
}

// A body reads the body of a request.
type body struct {
	incoming *wasi_http_types.IncomingBody
	stream   *wasi_io_streams.InputStream
}

func bodyOf(incoming *wasi_http_types.IncomingRequest) io.ReadCloser {
	// A body is taken once, and its stream is, so both are there.
	taken := incoming.Consume().Ok()
	return &body{taken, taken.Stream().Ok()}
}

func (b *body) Read(part []byte) (int, error) {
	if b.stream == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(part) == 0 {
		return 0, nil
	}
	read := b.stream.BlockingRead(uint64(len(part)))
	if read.IsOk() {
		return copy(part, read.Ok()), nil
	}
	failure := read.Err()
	if failure.Tag() == wasi_io_streams.StreamErrorClosed {
		return 0, io.EOF
	}
	return 0, fmt.Errorf("the body of the request: %s", textOf(failure))
}

func (b *body) Close() error {
	if b.stream != nil {
		b.stream.Drop()
		b.incoming.Drop()
		b.stream = nil
	}
	return nil
}

// textOf describes why a stream failed.
func textOf(failure wasi_io_streams.StreamError) string {
	if failure.Tag() == wasi_io_streams.StreamErrorClosed {
		return "the connection is closed"
	}
	cause := failure.LastOperationFailed()
	defer cause.Drop()
	return cause.ToDebugString()
}
