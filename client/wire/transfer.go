package wire

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"conpaas/client/api"
)

// trailerError has the error of an answer that had begun, as JSON.
const trailerError = "Conpaas-Error"

// trailerMax bounds it: what reads trailers has a buffer of 1 KiB.
const trailerMax = 800

// Transferred is an answer that is read as it comes. A Read at its end gives io.EOF only where it is complete: one that has broken off is
// another error, and one whose handler has failed after its first byte is the *api.Error that it told.
type Transferred struct {
	Header http.Header
	answer *http.Response
	end    func()
}

// Transfer makes a call whose body and answer are streams, either of which may go on while the other does; in may be nil. Where it
// is an io.Closer it is closed when the answer ends, so that a Read which waits for more of it stops. Its errors are those of Call.
// The caller closes the answer.
func Transfer(ctx context.Context, c *Client, method, path string, in io.Reader, opts ...Option) (*Transferred, error) {
	var body any
	if in != nil {
		body = in
	}
	// An http.Transport waits for the reader of a body even at the end of ctx, and leaves it waiting behind an answer that came early.
	release := func() {
		if c, ok := in.(io.Closer); ok {
			c.Close()
		}
	}
	late := context.AfterFunc(ctx, release)
	end := func() {
		late()
		release()
	}
	answer, err := c.send(ctx, method, path, body, opts) //nolint:bodyclose // it is the Transferred's, which closes it
	if err != nil {
		end()
		return nil, err
	}
	return &Transferred{Header: answer.Header, answer: answer, end: end}, nil
}

// Read reads on.
func (t *Transferred) Read(p []byte) (int, error) {
	n, err := t.answer.Body.Read(p)
	if err != nil {
		t.end()
	}
	if err == io.EOF {
		if text := t.answer.Trailer.Get(trailerError); text != "" {
			err = told(text)
		}
	}
	return n, err
}

// Close gives up what has not been read.
func (t *Transferred) Close() error {
	t.end()
	return t.answer.Body.Close()
}

// told reads the error of a trailer.
func told(text string) error {
	var problem api.Error
	if json.Unmarshal([]byte(text), &problem) != nil || problem.Code == "" {
		return api.Errorf(api.CodeInternal, "the answer has ended with an error that cannot be read: %.200s", text)
	}
	return &problem
}

// tell puts the error of an answer that has begun into its trailer.
func tell(ctx context.Context, header http.Header, err error) {
	p := newProblem(RequestID(ctx), describe(ctx, err))
	for most := trailerMax; ; most -= 50 {
		p.Detail = cut(p.Detail, most)
		text, err := json.Marshal(p)
		if err != nil {
			panic(err) // a struct of strings and numbers always encodes
		}
		if len(text) <= trailerMax || most <= 0 {
			header.Set(http.TrailerPrefix+trailerError, string(text))
			return
		}
	}
}

// Output sends what is written to an answer at once, as bytes of no known kind. Nothing is sent before the first byte, so that an
// error until then is answered as one.
type Output struct {
	w       http.ResponseWriter
	control *http.ResponseController
	count   int64
}

// NewOutput makes an Output over the answer w.
func NewOutput(w http.ResponseWriter) *Output {
	return &Output{w: w, control: http.NewResponseController(w)}
}

// Write sends p.
func (o *Output) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if o.count == 0 {
		o.w.Header().Set("Content-Type", "application/octet-stream")
		o.w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	n, err := o.w.Write(p)
	o.count += int64(n)
	if err != nil {
		return n, err
	}
	return n, o.control.Flush()
}

// End completes an answer without a byte.
func (o *Output) End() {
	if o.count == 0 {
		o.w.WriteHeader(http.StatusNoContent)
	}
}

// stream makes a request one whose body and answer may stand still for idle.
func (r *recorder) stream(request *http.Request, idle time.Duration) {
	r.patience = idle
	r.Header().Set("Connection", "close")  // what is left of the body would be taken for another request
	_ = r.control.EnableFullDuplex()       // HTTP/2 always is
	r.control.SetReadDeadline(time.Time{}) // each Read has one of its own
	if paced, ok := request.Body.(*pacedBody); ok {
		request.Body = &idleBody{body: paced.ReadCloser, control: r.control, idle: idle}
	}
}

// hurry ends a write that waits, and has none wait for long: the caller has left, which the peer of a tunnel does not show to who
// writes.
func (r *recorder) hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.patience = muxWrite
	r.control.SetWriteDeadline(time.Now().Add(r.patience))
}

// idleBody is a body that may come as slowly as its reader takes it. Close stops a Read that waits.
type idleBody struct {
	body    io.Reader
	control *http.ResponseController
	idle    time.Duration

	mu            sync.Mutex
	whole, closed bool
}

// Read reads on; it waits for at most idle.
func (b *idleBody) Read(p []byte) (int, error) {
	if !b.extend() {
		return 0, http.ErrBodyReadAfterClose
	}
	start := time.Now()
	n, err := b.body.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole = b.whole || err == io.EOF
	if !b.closed || b.whole {
		b.control.SetReadDeadline(time.Time{}) // until the next Read the reader is what is slow
	}
	if err != nil && err != io.EOF && !b.closed && time.Since(start) >= b.idle {
		slow := api.Errorf(api.CodeTimeout, "nothing of the body has come for %s", strings.TrimSuffix(b.idle.String(), "0s"))
		slow.Status = http.StatusRequestTimeout
		err = slow
	}
	return n, err
}

func (b *idleBody) extend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.control.SetReadDeadline(time.Now().Add(b.idle))
	}
	return !b.closed
}

// Close stops the reading. What has not come is not waited for.
func (b *idleBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	if !b.whole { // a deadline behind the end would be taken for a caller that has gone
		b.control.SetReadDeadline(time.Now())
	}
	return nil
}
