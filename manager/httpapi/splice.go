package httpapi

import (
	"context"
	"net"
	"net/http"
	"sync"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Splices is a listener for the connections of agents that cannot reach the manager's own port: the director hands them
// over, as bare bytes. They are served like any other, so that the agent and the manager check each other's certificates.
type Splices struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

var _ net.Listener = (*Splices)(nil)

// NewSplices makes a listener without connections.
func NewSplices() *Splices {
	return &Splices{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept waits for the next connection.
func (s *Splices) Accept() (net.Conn, error) {
	select {
	case conn := <-s.conns:
		return conn, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. It may be called more than once.
func (s *Splices) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

// Addr names the listener in logs.
func (s *Splices) Addr() net.Addr { return spliceAddr{} }

type spliceAddr struct{}

func (spliceAddr) Network() string { return "splice" }
func (spliceAddr) String() string  { return "the director" }

// give hands a connection to whoever accepts.
func (s *Splices) give(ctx context.Context, conn net.Conn) error {
	select {
	case s.conns <- conn:
		return nil
	case <-s.done:
		return api.Errorf(api.CodeUnavailable, "the manager is shutting down")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// splice takes a connection from the director.
func (s *server) splice(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	conn, err := wire.TakeOver(w, r, api.SpliceProtocol)
	if err != nil {
		return err
	}
	if err := s.splices.give(r.Context(), conn); err != nil {
		conn.Close()
		return err
	}
	return nil
}
