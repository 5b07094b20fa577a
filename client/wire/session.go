package wire

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"conpaas/client/api"
)

// A silent peer is known after keepAlive + muxWrite. A window of 4 MiB carries 48 MB/s over a round trip of 40 ms; it costs
// memory only for streams that are not read.
const (
	keepAlive  = 10 * time.Second
	muxWrite   = 5 * time.Second
	muxWindow  = 4 << 20
	streamOpen = 10 * time.Second
)

func muxConfig(log *slog.Logger) *yamux.Config {
	c := yamux.DefaultConfig()
	c.KeepAliveInterval, c.ConnectionWriteTimeout = keepAlive, muxWrite
	c.MaxStreamWindowSize, c.StreamOpenTimeout = muxWindow, streamOpen
	c.LogOutput, c.Logger = nil, muxLog{log}
	return c
}

// muxLog puts what yamux says into the log of the component. All of it is detail: the end of a session has its own line.
type muxLog struct{ log *slog.Logger }

func (l muxLog) Print(v ...any)            { l.log.Debug(fmt.Sprint(v...)) }
func (l muxLog) Printf(f string, v ...any) { l.log.Debug(fmt.Sprintf(f, v...)) }
func (l muxLog) Println(v ...any)          { l.log.Debug(fmt.Sprint(v...)) }

// Session is one connection of a child, as its parent sees it.
type Session struct {
	child       string
	hello       api.Hello
	certificate *x509.Certificate // that it was opened with; nil where there was none
	mux         *yamux.Session
	ended       chan struct{} // closed when its Disconnected has returned

	mu     sync.Mutex
	reason error // why the parent has ended it
}

// Child gives the name under which the hub knows the child.
func (s *Session) Child() string { return s.child }

// Hello gives what the child has said of itself. It is the child's word: who it is, its certificate says.
func (s *Session) Hello() api.Hello { return s.hello }

// Done is closed when the connection is gone.
func (s *Session) Done() <-chan struct{} { return s.mux.CloseChan() }

// Close ends the connection. The child will dial again.
func (s *Session) Close() { s.fail(errClosed) }

// fail ends the session for a reason, the first of which counts.
func (s *Session) fail(reason error) {
	s.mu.Lock()
	if s.reason == nil {
		s.reason = reason
	}
	s.mu.Unlock()
	s.mux.Close()
}

// wait refuses the streams that the child opens, which it has no right to, until the session ends; it gives the reason.
func (s *Session) wait() error {
	for {
		conn, err := s.mux.Accept()
		if err == nil {
			conn.Close()
			continue
		}
		s.mux.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.reason != nil {
			return s.reason
		}
		return fmt.Errorf("connection of %s broke: %w", s.child, err)
	}
}

// muxListener hands the streams of a session to an http.Server. Its end is always net.ErrClosed: the server would take an
// error that calls itself temporary, as a timeout of the connection does, for a reason to go on for ever.
type muxListener struct {
	*yamux.Session
	reason error
}

// Accept waits for the next stream.
func (l *muxListener) Accept() (net.Conn, error) {
	conn, err := l.Session.Accept()
	if err != nil {
		l.reason = err
		return nil, net.ErrClosed
	}
	return conn, nil
}
