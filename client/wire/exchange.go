package wire

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"conpaas/client/api"
)

const (
	bodyGrace = 15 * time.Second // a body may take this long, and longer as it proves to be large
	bodyRate  = 16 << 10         // bytes/s that a large body must make
)

// exchange is what becomes known of a request while it is handled, most of it for its one line in the log.
type exchange struct {
	title   string // of its API
	lenient bool   // whether its API is
	route   string // id of the route, "" where none takes it
	caller  Caller
	cause   error                         // the whole reason of an error answer
	ended   func(status int, cause error) // of who follows the request; may be nil
}

type exchangeKey struct{}

// note keeps the reason of an error answer for the log.
func note(ctx context.Context, status int, cause error) {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok && status >= 400 {
		x.cause = cause
	}
}

// recorder is an answer that remembers what was sent, and gives up on a reader that takes nothing for its patience. Under HTTP/2
// a deadline that passes ends even a stream that is idle, so that one is set for the time of each write only.
type recorder struct {
	http.ResponseWriter
	control  *http.ResponseController
	status   int // 0: nothing sent yet
	hijacked bool
	broken   error // the first write that went wrong

	mu       sync.Mutex
	patience time.Duration
}

func newRecorder(w http.ResponseWriter) *recorder {
	return &recorder{ResponseWriter: w, control: http.NewResponseController(w), patience: writeTime}
}

// begun tells whether the answer can no longer be changed.
func (r *recorder) begun() bool { return r.status != 0 || r.hijacked }

// WriteHeader sends the status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.wait()
	defer r.control.SetWriteDeadline(time.Time{})
	n, err := r.ResponseWriter.Write(p)
	r.keep(err)
	return n, err
}

// FlushError sends what is buffered.
func (r *recorder) FlushError() error {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.wait()
	defer r.control.SetWriteDeadline(time.Time{})
	err := r.control.Flush()
	r.keep(err)
	return err
}

// wait begins a write, which may last as long as the patience.
func (r *recorder) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.control.SetWriteDeadline(time.Now().Add(r.patience))
}

// Hijack hands the connection over to the handler.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := r.control.Hijack()
	if err == nil {
		r.hijacked = true
	}
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) keep(err error) {
	if r.broken == nil {
		r.broken = err
	}
}

// pacedBody cuts a body that comes too slowly. When it has come wholly no deadline is left: one that passes while the
// handler works would be taken for a caller that has gone.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	start   time.Time
	read    int64
}

// pace bounds the time of a request's body, whether the handler reads it or the server discards it.
func pace(control *http.ResponseController, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	control.SetReadDeadline(time.Now().Add(bodyGrace))
	r.Body = &pacedBody{ReadCloser: r.Body, control: control}
}

// Read reads on until the time that the body has earned so far.
func (b *pacedBody) Read(p []byte) (int, error) {
	now := time.Now()
	if b.start.IsZero() {
		b.start = now
	}
	end := b.start.Add(bodyGrace + time.Duration(b.read/bodyRate)*time.Second)
	b.control.SetReadDeadline(end)
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	switch {
	case err == io.EOF:
		b.control.SetReadDeadline(time.Time{})
	case err != nil && !time.Now().Before(end):
		slow := api.Errorf(api.CodeTimeout, "the body comes too slowly: %d bytes in %s, at least %d bytes/s are needed", b.read, bodyGrace, bodyRate)
		slow.Status = http.StatusRequestTimeout
		return n, slow
	}
	return n, err
}
