package forward_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/forward"
)

func TestMain(m *testing.M) {
	serveTest()
	goleak.VerifyTestMain(m)
}

// listen listens on a free port of the loopback interface.
func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// forwarder makes a forwarder to a target.
func forwarder(t *testing.T, target net.Listener, o forward.Options) *forward.Forwarder {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	if o.Dial == nil {
		o.Dial = func(ctx context.Context) (*net.TCPConn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp4", target.Addr().String())
			if err != nil {
				return nil, err
			}
			return c.(*net.TCPConn), nil
		}
	}
	f := forward.New(listen(t), o)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// dial connects to an address.
func dial(t *testing.T, to net.Addr) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp4", nil, to.(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// accept takes the next connection of a target.
func accept(t *testing.T, l net.Listener) *net.TCPConn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// TestHalfClose: either side may end its direction first, and the other one goes on to its own end.
func TestHalfClose(t *testing.T) {
	target := listen(t)
	f := forwarder(t, target, forward.Options{})
	for _, clientFirst := range []bool{true, false} {
		client := dial(t, f.Address())
		server := accept(t, target)
		first, second := client, server
		if !clientFirst {
			first, second = server, client
		}
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		for _, way := range [][2]*net.TCPConn{{first, second}, {second, first}} {
			var sender sync.WaitGroup
			sender.Go(func() {
				if _, err := way[0].Write(big); err != nil {
					t.Error(err)
				}
				if err := way[0].CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			if got, err := io.ReadAll(way[1]); err != nil || !bytes.Equal(got, big) {
				t.Errorf("got %d of %d bytes, %v", len(got), len(big), err)
			}
			sender.Wait()
		}
	}
}

// TestHalfTime: after one side has ended, the other one is cut when it carries nothing, and only then.
func TestHalfTime(t *testing.T) {
	target := listen(t)
	const half = time.Second
	f := forwarder(t, target, forward.Options{HalfTime: half})
	client := dial(t, f.Address())
	server := accept(t, target)
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(server); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Since(begun) < 3*half/2 { // it moves for longer than the limit
		<-tick.C
		if _, err := server.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Fatalf("cut while it moved: %v", err)
		}
	}
	if _, err := io.Copy(io.Discard, client); err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the quiet connection ended with %v", err)
	}
}

// TestReset: a target that cannot be reached resets the caller, and the forwarder lives on.
func TestReset(t *testing.T) {
	target := listen(t)
	refuse := true
	var once sync.Mutex
	f := forwarder(t, target, forward.Options{Dial: func(context.Context) (*net.TCPConn, error) {
		once.Lock()
		defer once.Unlock()
		if refuse {
			return nil, unix.ECONNREFUSED
		}
		return net.DialTCP("tcp4", nil, target.Addr().(*net.TCPAddr))
	}})
	refused, err := net.Dial("tcp4", f.Address().String())
	if err == nil {
		_, err = refused.Read(make([]byte, 1))
		_ = refused.Close()
	}
	if !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("dial and read: %v, want %v", err, unix.ECONNRESET)
	}
	once.Lock()
	refuse = false
	once.Unlock()
	client := dial(t, f.Address())
	server := accept(t, target)
	if err := server.SetLinger(0); err != nil { // a target that dies resets too
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the caller did not notice that the target is gone")
	}
}

// TestBounded: more connections than allowed wait, and come through when others end.
func TestBounded(t *testing.T) {
	target := listen(t)
	f := forwarder(t, target, forward.Options{Connections: 1})
	first := dial(t, f.Address())
	firstServer := accept(t, target)
	second := dial(t, f.Address())
	if _, err := second.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	came := make(chan *net.TCPConn)
	go func() {
		c, _ := target.Accept()
		tcp, _ := c.(*net.TCPConn)
		came <- tcp
	}()
	select {
	case <-came:
		t.Error("a second connection was carried beside the first")
	default:
	}
	if err := errors.Join(first.Close(), firstServer.Close()); err != nil {
		t.Fatal(err)
	}
	c := <-came
	if c == nil {
		t.Fatal("the second connection did not come")
	}
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

// TestClose cuts what is being carried and what is being dialled, and may be repeated.
func TestClose(t *testing.T) {
	target := listen(t)
	dialling := make(chan struct{})
	hang := false
	var mu sync.Mutex
	f := forwarder(t, target, forward.Options{Dial: func(ctx context.Context) (*net.TCPConn, error) {
		mu.Lock()
		now := hang
		mu.Unlock()
		if now {
			close(dialling)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return net.DialTCP("tcp4", nil, target.Addr().(*net.TCPAddr))
	}})
	carried := dial(t, f.Address())
	accept(t, target)
	mu.Lock()
	hang = true
	mu.Unlock()
	dialled := dial(t, f.Address())
	<-dialling
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []*net.TCPConn{carried, dialled} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection outlived the forwarder")
		}
	}
	if c, err := net.Dial("tcp4", f.Address().String()); err == nil {
		_ = c.Close()
		t.Error("the forwarder still accepts")
	}
}
