package forward_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon/proc"
	"conpaas/director/cloud/local/forward"
)

// serveTest lets the test binary be the forwarder that a test starts.
func serveTest() {
	if len(os.Args) != 5 || os.Args[1] != "cloud" || os.Args[2] != "forward" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	if err := forward.Run(ctx, slog.New(slog.DiscardHandler), os.Args[4]); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// own is a forwarder into the network that the test is in.
func own(t *testing.T) *forward.Own {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := &forward.Own{
		Log: slog.New(slog.DiscardHandler), Program: exe, Dir: filepath.Join(t.TempDir(), "forward"), Place: func(string) {},
		Network: func() (*os.File, error) { return os.Open("/proc/thread-self/ns/net") },
	}
	t.Cleanup(func() {
		if _, err := o.Serve(context.WithoutCancel(t.Context()), nil); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(o.Dir); err == nil {
			t.Error("the directory is left")
		}
	})
	return o
}

// to is the publication of a listener at a port that was free.
func to(t *testing.T, l *net.TCPListener) forward.Publication {
	t.Helper()
	free := listen(t)
	defer free.Close()
	return forward.Publication{
		Port: uint16(free.Addr().(*net.TCPAddr).Port), Owner: "m-1", Target: netip.MustParseAddrPort(l.Addr().String()),
	}
}

// leads tells whether a connection to a published port comes to the listener.
func leads(t *testing.T, p forward.Publication, l *net.TCPListener) {
	t.Helper()
	dial(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(p.Port)})
	accept(t, l)
}

// TestDeafForwarder: a forwarder that does not answer is ended, and the next call has another one.
func TestDeafForwarder(t *testing.T) {
	o, target := own(t), listen(t)
	first, second := to(t, target), to(t, target)
	if failed, err := o.Serve(t.Context(), []forward.Publication{first}); err != nil || len(failed) != 0 {
		t.Fatal(failed, err)
	}
	leads(t, first, target)
	process, found, err := proc.Adopt(filepath.Join(o.Dir, "process"))
	if err != nil || !found {
		t.Fatal(found, err)
	}
	defer process.Release()
	if err := process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	o.Patience = time.Millisecond
	both := []forward.Publication{first, second}
	if failed, err := o.Serve(t.Context(), both); err == nil {
		t.Fatalf("a stopped process answers %v", failed)
	}
	<-process.Done()
	o.Patience = 0
	if failed, err := o.Serve(t.Context(), both); err != nil || len(failed) != 0 {
		t.Fatal(failed, err)
	}
	leads(t, first, target)
	leads(t, second, target)
}

// TestTakenPort: a port that another program has is in the answer, the others are published, and it is tried again by itself.
func TestTakenPort(t *testing.T) {
	o, target, thief := own(t), listen(t), listen(t)
	good, bad := to(t, target), to(t, target)
	bad.Port = uint16(thief.Addr().(*net.TCPAddr).Port)
	failed, err := o.Serve(t.Context(), []forward.Publication{good, bad})
	if err != nil || len(failed) != 1 || !errors.Is(failed[bad.Port], unix.EADDRINUSE) {
		t.Errorf("the answer is %v, %v", failed, err)
	}
	leads(t, good, target)
	if err := thief.Close(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	at := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(bad.Port)}).String()
	for {
		if c, err := net.Dial("tcp4", at); err == nil { // the test's own deadline ends the wait
			_ = c.Close()
			return
		}
		<-tick.C
	}
}
