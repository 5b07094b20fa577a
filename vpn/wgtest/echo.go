//go:build linux

package wgtest

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// EchoPort is the TCP and UDP port of Echo.
const EchoPort = 7

// Echo answers TCP and UDP on the node's overlay address with what it gets.
func (n *Node) Echo(t testing.TB) {
	t.Helper()
	at := netip.AddrPortFrom(n.Overlay, EchoPort)
	udp := n.ListenUDP(t, at)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			count, from, err := udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			// A lost answer is what UDP is like; who asked asks again.
			_, _ = udp.WriteToUDPAddrPort(buf[:count], from)
		}
	}()
	// Clean-up runs backwards: the listener and the connections are closed before this waits for their ends.
	var open sync.WaitGroup
	t.Cleanup(open.Wait)
	tcp := n.Listen(t, at)
	open.Go(func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			open.Go(func() {
				defer c.Close()
				// The client sees for itself where the stream ends.
				_, _ = io.Copy(c, c)
			})
		}
	})
}

// Ping sends a UDP datagram to the Echo of another node until one comes back.
func (n *Node) Ping(t testing.TB, to *Node) {
	t.Helper()
	if !n.Reaches(t, to, patience) {
		t.Fatalf("%s gets no answer from %s through the overlay within %s", n.Name, to.Name, patience)
	}
}

// Reaches tells whether a datagram to the Echo of another node comes back within a time; it asks every 100 ms.
func (n *Node) Reaches(t testing.TB, to *Node, within time.Duration) bool {
	t.Helper()
	c, err := n.Dial(t.Context(), "udp4", netip.AddrPortFrom(to.Overlay, EchoPort))
	if err != nil {
		return false
	}
	defer c.Close()
	question := make([]byte, 32)
	if _, err := rand.Read(question); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 64)
	for end := time.Now().Add(within); time.Now().Before(end); {
		// A refused write (no route yet, no key yet) is a lost datagram.
		_, _ = c.Write(question)
		if err := c.SetReadDeadline(time.Now().Add(min(100*time.Millisecond, time.Until(end)))); err != nil {
			t.Fatal(err)
		}
		count, err := c.Read(answer)
		if err == nil && bytes.Equal(answer[:count], question) {
			return true
		}
	}
	return false
}

// Stream is a TCP connection over the overlay on which bytes run in a circle.
type Stream struct {
	conn    net.Conn
	stop    chan struct{}
	stopped sync.Once
	done    chan error
	mu      sync.Mutex
	rounds  int
}

// NewStream opens a connection to the Echo of another node and keeps sending blocks and checking that they
// come back whole.
func (n *Node) NewStream(t testing.TB, to *Node) *Stream {
	t.Helper()
	c, err := n.Dial(t.Context(), "tcp4", netip.AddrPortFrom(to.Overlay, EchoPort))
	if err != nil {
		t.Fatalf("connect %s to %s through the overlay: %v", n.Name, to.Name, err)
	}
	s := &Stream{conn: c, stop: make(chan struct{}), done: make(chan error, 1)}
	go func() { s.done <- s.run() }()
	t.Cleanup(func() { c.Close() })
	return s
}

func (s *Stream) run() error {
	sent, got := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		select {
		case <-s.stop:
			return nil
		default:
		}
		if _, err := rand.Read(sent); err != nil {
			return err
		}
		if _, err := s.conn.Write(sent); err != nil {
			return err
		}
		if _, err := io.ReadFull(s.conn, got); err != nil {
			return err
		}
		if !bytes.Equal(sent, got) {
			return io.ErrUnexpectedEOF
		}
		s.mu.Lock()
		s.rounds++
		s.mu.Unlock()
	}
}

// Rounds is how many blocks have come back so far.
func (s *Stream) Rounds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rounds
}

// Advance waits until more blocks have come back.
func (s *Stream) Advance(t testing.TB, blocks int) {
	t.Helper()
	from := s.Rounds()
	Eventually(t, "the TCP stream goes on", func() bool { return s.Rounds() >= from+blocks })
}

// Stop ends the stream and gives the error that broke it, if one did.
func (s *Stream) Stop() error {
	s.stopped.Do(func() { close(s.stop) })
	return <-s.done
}
