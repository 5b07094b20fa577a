package wire

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"conpaas/certs"
	"conpaas/certs/mtls"
)

// fakeConn is a connection from an address that remembers whether it was closed.
type fakeConn struct {
	net.Conn
	from   string
	closed int
}

func (f *fakeConn) Close() error         { f.closed++; return nil }
func (f *fakeConn) RemoteAddr() net.Addr { return fakeAddr(f.from) }

type fakeAddr string

func (fakeAddr) Network() string  { return "tcp" }
func (f fakeAddr) String() string { return string(f) }

// fakeListener hands out one connection after the other.
type fakeListener struct {
	net.Listener
	next []net.Conn
}

func (l *fakeListener) Accept() (net.Conn, error) {
	if len(l.next) == 0 {
		return nil, net.ErrClosed
	}
	conn := l.next[0]
	l.next = l.next[1:]
	return conn, nil
}

// crowd are the connections of a bounded listener in a test.
type crowd struct {
	bounded *bounded
	inner   *fakeListener
	outer   net.Listener
}

func newCrowd(w *world, most int) *crowd {
	c := &crowd{bounded: newBounded(w.log.logger(), most), inner: &fakeListener{}}
	c.outer = c.bounded.listener(c.inner)
	return c
}

// enter gives the connection from an address, and its place where it got one.
func (c *crowd) enter(from string) (*fakeConn, *placed) {
	conn := &fakeConn{from: from}
	c.inner.next = []net.Conn{conn}
	accepted, err := c.outer.Accept()
	if err != nil {
		return conn, nil
	}
	return conn, accepted.(*placed)
}

// Strangers of one address have a share; beyond it their oldest connection is closed. Known ones stay and do not count.
func TestStrangersHaveAShare(t *testing.T) {
	w := newWorld(t)
	c := newCrowd(w, 12) // 3 of an address
	first, _ := c.enter("10.0.0.1:1")
	second, place := c.enter("10.0.0.1:2")
	place.know("manager n1")
	third, _ := c.enter("[::ffff:10.0.0.1]:3")
	fourth, _ := c.enter("10.0.0.1:4")
	other, _ := c.enter("10.0.0.2:1")
	if first.closed+second.closed+third.closed+fourth.closed+other.closed > 0 {
		t.Fatal("a connection is closed within the share")
	}
	c.enter("10.0.0.1:5")
	c.enter("10.0.0.1:6")
	if first.closed != 1 || third.closed != 1 || second.closed+fourth.closed+other.closed > 0 {
		t.Errorf("closed: %d %d, and of those that should stay %d %d %d", first.closed, third.closed, second.closed, fourth.closed, other.closed)
	}
	if !strings.Contains(w.log.String(), "connections are closed") {
		t.Errorf("the log does not say so: %s", w.log)
	}
	six := newCrowd(w, 4)
	same, _ := six.enter("[2001:db8::1]:1")
	six.enter("[2001:db8::ffff:1]:1")
	if same.closed != 1 {
		t.Error("addresses of one /64 have a share each")
	}
}

// Where all places are taken, the address with the most strangers loses one; where all are known, the newcomer goes.
func TestFullPort(t *testing.T) {
	c := newCrowd(newWorld(t), 8) // 2 of an address
	var places []*placed
	oldest, _ := c.enter("10.0.0.1:1")
	c.enter("10.0.0.1:2")
	for i := range 6 {
		conn, place := c.enter(fmt.Sprintf("10.0.1.%d:1", i))
		places = append(places, place)
		defer func() {
			if conn.closed > 0 {
				t.Error("a known connection was closed")
			}
		}()
	}
	c.enter("10.0.9.9:1")
	if oldest.closed != 1 {
		t.Error("the address with the most strangers has lost none")
	}
	for _, p := range places {
		p.know("user 1 (ada)")
	}
	for _, row := range c.bounded.strangers {
		for row.Len() > 0 {
			row.Front().Value.(*placed).know("user 2 (ben)")
		}
	}
	if conn, place := c.enter("10.0.9.8:1"); place != nil || conn.closed != 1 {
		t.Error("among known connections only a newcomer has got a place")
	}
	places[0].bounded.mu.Lock()
	places[0].bounded.leave(places[0])
	places[0].bounded.leave(places[0])
	places[0].bounded.mu.Unlock()
	if _, place := c.enter("10.0.9.8:1"); place == nil || c.bounded.open != 8 {
		t.Errorf("a place that was left is not free: %d are open", c.bounded.open)
	}
}

// One caller is known by so many connections; more stay strangers'.
func TestKnownIsBounded(t *testing.T) {
	c := newCrowd(newWorld(t), 8*knownMax)
	for range knownMax + 10 {
		_, place := c.enter("10.0.0.1:1")
		place.know("agent n1")
	}
	if got := c.bounded.strangers[netip.MustParsePrefix("10.0.0.1/32")].Len(); got != 10 {
		t.Errorf("%d of its connections are strangers', want 10", got)
	}
}

// Whoever comes, is known and leaves: the bounds hold, and the counts are right.
func TestBoundedProperty(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		c := newCrowd(w, rapid.IntRange(1, 12).Draw(rt, "most"))
		var conns []*fakeConn
		var places []*placed
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				conn, place := c.enter(fmt.Sprintf("10.0.0.%d:1", rapid.IntRange(1, 4).Draw(rt, "from")))
				if place != nil {
					conns, places = append(conns, conn), append(places, place)
				}
			case 2:
				if len(places) > 0 {
					rapid.SampledFrom(places).Draw(rt, "who").know("agent n1")
				}
			case 3:
				if len(places) > 0 {
					rapid.SampledFrom(places).Draw(rt, "who").Close()
				}
			}
			open, known := 0, 0
			strangers := map[netip.Prefix]int{}
			for i, p := range places {
				if conns[i].closed > 0 {
					continue
				}
				open++
				if p.caller != "" {
					known++
				} else {
					strangers[p.from]++
				}
			}
			b := c.bounded
			if open != b.open || open > b.most || known != b.known["agent n1"] || len(strangers) != len(b.strangers) {
				rt.Fatalf("%d are open, %d known, strangers %v; counted are %d, %d, %d rows; at most %d", open, known, strangers, b.open, b.known["agent n1"], len(b.strangers), b.most)
			}
			for from, n := range strangers {
				if n > b.share || n != b.strangers[from].Len() {
					rt.Fatalf("%d strangers of %s, share %d, counted %d", n, from, b.share, b.strangers[from].Len())
				}
			}
		}
	})
}

// A request on a connection shows whose it is, also through TLS, and over HTTP/2; a request of nobody does not.
func TestRequestsMakeConnectionsKnown(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		w := newWorld(t)
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		b := newBounded(w.log.logger(), 100)
		parted := newSplit(b.listener(inner))
		certificate := w.certificate(certs.Identity{Deployment: "test", Role: certs.RoleDirector})
		server := newServer(t.Context(), w.log.logger(), testAPI(w).Handler())
		server.TLSConfig = mtls.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil })
		server.ConnContext = withPlaced
		var running sync.WaitGroup
		running.Go(func() { parted.run() })
		running.Go(func() { server.ServeTLS(parted.tls, "", "") })
		client := w.client(inner.Addr().String())
		if h2 {
			transport := client.HTTP.Transport.(*http.Transport)
			transport.Protocols.SetHTTP2(true)
			transport.TLSClientConfig.NextProtos = []string{"h2", "http/1.1"}
		}
		count := func() (strangers, known int) {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, row := range b.strangers {
				strangers += row.Len()
			}
			return strangers, b.known["user 7 (ada)"]
		}
		for _, step := range []struct {
			caller           string
			strangers, known int
		}{{"", 1, 0}, {"ada", 0, 1}, {"", 0, 1}} {
			if _, err := Call[struct{}](t.Context(), client, "POST", "/v1/nothing", nil, WithHeader("Test-Caller", step.caller)); err != nil {
				t.Fatal(err)
			}
			if strangers, known := count(); strangers != step.strangers || known != step.known {
				t.Errorf("h2 %v: after a request of %q there are %d strangers and %d known, want %d and %d", h2, step.caller, strangers, known, step.strangers, step.known)
			}
		}
		client.HTTP.CloseIdleConnections()
		server.Close()
		running.Wait()
		eventually(t, "the place is given back", func() bool { s, k := count(); return s+k == 0 })
	}
}
