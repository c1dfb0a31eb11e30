package wasihttp

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/lemon-session/lemon-session/sdk/go/internal/bindings/wasi_http_types"
	"github.com/lemon-session/lemon-session/sdk/go/internal/bindings/wasi_io_streams"
	types "github.com/lemon-session/lemon-session/sdk/go/wit/types"
)

// A response sends what a handler writes as it writes it.
type response struct {
	out    *wasi_http_types.ResponseOutparam
	header http.Header
	body   *wasi_http_types.OutgoingBody
	stream *wasi_io_streams.OutputStream
}

func (w *response) Header() http.Header {
	return w.header
}

// WriteHeader sends the status and the headers. Like that of net/http, it panics for a status that has not three digits, and
// only the first call counts.
func (w *response) WriteHeader(status int) {
	if w.body != nil {
		return
	}
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	// Informational responses are not part of wasi:http.
	if status < 200 {
		return
	}
	fields := wasi_http_types.MakeFields()
	for name, values := range w.header {
		for _, value := range values {
			add(fields, name, value)
		}
	}
	outgoing := wasi_http_types.MakeOutgoingResponse(fields)
	if outgoing.SetStatusCode(uint16(status)).IsErr() {
		panic(fmt.Sprintf("the host refuses the status %v", status))
	}
	w.body = outgoing.Body().Ok()
	w.stream = w.body.Write().Ok()
	wasi_http_types.ResponseOutparamSet(w.out, types.Ok[*wasi_http_types.OutgoingResponse, wasi_http_types.ErrorCode](outgoing))
}

// add adds a field to those of a response, unless it belongs to the connection, which is the host's.
func add(fields *wasi_http_types.Fields, name, value string) {
	added := fields.Append(name, []byte(value))
	if added.IsErr() && added.Err().Tag() == wasi_http_types.HeaderErrorInvalidSyntax {
		panic(fmt.Sprintf("the response has the invalid header %q: %q", name, value))
	}
}

// A stream takes at most so many bytes at a time.
const most = 4096

func (w *response) Write(content []byte) (int, error) {
	if w.body == nil {
		if _, ok := w.header["Content-Type"]; !ok && len(content) > 0 {
			w.header.Set("Content-Type", http.DetectContentType(content))
		}
		w.WriteHeader(http.StatusOK)
	}
	written := 0
	for written < len(content) {
		part := content[written:min(written+most, len(content))]
		if sent := w.stream.BlockingWriteAndFlush(part); sent.IsErr() {
			return written, errors.New("the response cannot be written: " + textOf(sent.Err()))
		}
		written += len(part)
	}
	return written, nil
}

// Flush does nothing, as Write has sent everything. It makes a response an [http.Flusher].
func (w *response) Flush() {
	w.WriteHeader(http.StatusOK)
}

// finish ends the response.
func (w *response) finish() {
	w.WriteHeader(http.StatusOK)
	w.stream.Drop()
	// The client may have gone away; then there is no one to answer.
	wasi_http_types.OutgoingBodyFinish(w.body, types.None[*wasi_http_types.Fields]())
}
