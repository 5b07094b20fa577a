package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// streamBuffer is how much of an answer, or of its lines, is read at once. Little comes on the one call that a parent keeps
// open to each child: thousands of larger buffers would be empty ones. What is large is read past them.
const streamBuffer = 1 << 10

// streams sends each call to a child on a stream of its own, which ends with it. A call that waits for more of its answer
// costs no goroutine, of which a parent would have two for each of thousands of children with an http.Transport.
type streams struct {
	open func(child string) (net.Conn, error)
}

// RoundTrip makes one call. The end of the request's context ends it and the reading of its answer.
func (s streams) RoundTrip(r *http.Request) (*http.Response, error) {
	err := sendable(r.Header)
	var conn net.Conn
	if err == nil {
		conn, err = s.open(r.URL.Hostname())
	}
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	sent := make(chan struct{})
	var sendErr error
	end := sync.OnceFunc(func() {
		conn.SetDeadline(time.Now()) // whoever reads or writes stops
		conn.Close()
		if r.Body != nil {
			r.Body.Close() // whoever waits for more of it stops
		}
		<-sent
	})
	release := context.AfterFunc(r.Context(), end)
	out := r.WithContext(r.Context())
	out.Close = true
	body := &sentBody{ReadCloser: r.Body}
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = body
	}
	go func() { // beside the reading: a child may answer, and read no more, before it has the whole body
		defer close(sent)
		switch sendErr = out.Write(conn); {
		case sendErr == nil:
		case body.broken: // the child must not wait for the rest of it
			conn.SetDeadline(time.Now())
		default:
			conn.SetReadDeadline(time.Now().Add(muxWrite)) // for an answer that says why
		}
	}()
	header := &io.LimitedReader{R: conn, N: headerMax}
	answer, err := http.ReadResponse(bufio.NewReaderSize(header, streamBuffer), out)
	if err != nil {
		release()
		end()
		return nil, errors.Join(sendErr, err)
	}
	header.N = math.MaxInt64
	answer.Body = &streamBody{Reader: answer.Body, close: func() { release(); end() }}
	return answer, nil
}

// sentBody is a body that is sent.
type sentBody struct {
	io.ReadCloser
	broken bool // it has ended before its end
}

// Read reads on.
func (s *sentBody) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.broken = err != nil && err != io.EOF
	return n, err
}

// sendable refuses headers that would not arrive as they are.
func sendable(h http.Header) error {
	for name, values := range h {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("%q is no name of a header", name)
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return fmt.Errorf("%q is no value of the header %s", value, name)
			}
		}
	}
	return nil
}

// streamBody is the body of an answer. Its end, however it comes, is that of its stream.
type streamBody struct {
	io.Reader
	close func()
}

// Read reads on.
func (b *streamBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		b.close()
	}
	return n, err
}

// Close gives up what has not been read.
func (b *streamBody) Close() error {
	b.close()
	return nil
}
