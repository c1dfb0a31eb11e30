// Package wasihttp serves an [http.Handler] as a component that exports wasi:http/incoming-handler.
//
// Go builds a page as a library, whose main is not called. The handler is set before the first request:
//
//	func init() {
//		wasihttp.Handle(http.HandlerFunc(page))
//	}
//
//	func main() {}
//
// The page is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags=-checklinkname=0 -o page.core.wasm
//	lemon-session-componentize page.core.wasm -o page.wasm
package wasihttp

import (
	"net/http"

	"github.com/lemon-session/lemon-session/sdk/go/internal/bindings/wasi_http_types"
	"github.com/lemon-session/lemon-session/sdk/go/internal/handles"
	runtime "github.com/lemon-session/lemon-session/sdk/go/wit/runtime"
)

var handler http.Handler = http.DefaultServeMux

// Handle sets the handler of all requests. Without it, they are handled by [http.DefaultServeMux].
func Handle(h http.Handler) {
	handler = h
}

//go:wasmexport wasi:http/incoming-handler@0.2.10#handle
func handle(request, out int32) {
	incoming := wasi_http_types.IncomingRequestFromOwnHandle(request)
	w := &response{out: wasi_http_types.ResponseOutparamFromOwnHandle(out), header: http.Header{}}
	r, err := requestOf(incoming)
	if err == nil {
		handler.ServeHTTP(w, r)
		r.Body.Close()
	} else {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	handles.DropAll()
	w.finish()
	incoming.Drop()
	// What the host allocated for this request belongs to the garbage collector now.
	runtime.Unpin()
	collect()
}
