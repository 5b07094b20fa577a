package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// split parts the connections of one listener by their first byte into two listeners.
type split struct {
	net.Listener
	tls, plain half
	done       chan struct{} // closed when the listener is
	sorting    sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	strangers map[net.Conn]struct{}
}

// half is one of the two. Closing either closes both and the listener itself.
type half struct {
	*split
	conns chan net.Conn
}

func newSplit(l net.Listener) *split {
	s := &split{
		Listener: l, done: make(chan struct{}), strangers: map[net.Conn]struct{}{},
	}
	s.tls, s.plain = half{s, make(chan net.Conn)}, half{s, make(chan net.Conn)}
	return s
}

// Accept waits for the next connection of its kind.
func (h half) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close closes the listener and the connections that have not been handed on. It may be called more than once.
func (s *split) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.done)
	for conn := range s.strangers {
		conn.Close()
	}
	return s.Listener.Close()
}

// run accepts until the listener is closed, and waits for what it has started.
func (s *split) run() error {
	defer s.sorting.Wait()
	defer s.Close()
	for {
		conn, err := s.Listener.Accept()
		switch {
		case err == nil:
			s.take(conn)
		case isPassing(err):
			s.pause()
		default:
			return fmt.Errorf("accept on %s: %w", s.Addr(), err)
		}
	}
}

// isPassing tells whether accepting may work again soon: connections that died in the queue, descriptors used up.
func isPassing(err error) bool {
	for _, passing := range []error{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

func (s *split) pause() {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.done:
	}
}

// take makes a connection a stranger that is looked at. How many there are the listener bounds: one that waited here for
// those before it would wait for the slowest of them.
func (s *split) take(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	s.strangers[conn] = struct{}{}
	s.sorting.Go(func() { s.sort(conn) })
}

// sort hands a connection on by its first byte. A TLS handshake begins with a record of type 22 (RFC 8446, 5.1).
func (s *split) sort(conn net.Conn) {
	const handshake = 22
	ahead := make([]byte, 1)
	conn.SetReadDeadline(time.Now().Add(headerTime))
	_, err := io.ReadFull(conn, ahead)
	s.mu.Lock()
	delete(s.strangers, conn)
	s.mu.Unlock()
	if err != nil {
		conn.Close()
		return
	}
	conn.SetReadDeadline(time.Time{})
	kind := s.plain
	if ahead[0] == handshake {
		kind = s.tls
	}
	select {
	case kind.conns <- putBack(conn, ahead):
	case <-s.done:
		conn.Close()
	}
}

// peeked is a connection of which something has been read already.
type peeked struct {
	net.Conn
	reader io.Reader
}

// putBack gives a connection that is read from the beginning of ahead on.
func putBack(conn net.Conn, ahead []byte) net.Conn {
	if len(ahead) == 0 {
		return conn
	}
	return &peeked{Conn: conn, reader: io.MultiReader(bytes.NewReader(ahead), conn)}
}

// putBackBuffer is putBack for what a buffered reader of the connection holds. The reader is not needed any more.
func putBackBuffer(conn net.Conn, r *bufio.Reader) net.Conn {
	ahead := make([]byte, r.Buffered())
	n, _ := r.Read(ahead) // what is buffered is read without an error
	return putBack(conn, ahead[:n])
}

// Read gives what was read ahead first.
func (p *peeked) Read(b []byte) (int, error) { return p.reader.Read(b) }
