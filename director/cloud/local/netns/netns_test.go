package netns_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/netns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pinned makes a namespace with its loopback interface up.
func pinned(t *testing.T) *netns.Namespace {
	t.Helper()
	path := filepath.Join(t.TempDir(), "netns")
	if err := netns.Pin(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
	n, err := netns.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	err = n.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestListenAndDial talks over a port of a namespace, while the same port is free outside.
func TestListenAndDial(t *testing.T) {
	inside, other := pinned(t), pinned(t)
	at := netip.MustParseAddrPort("127.0.0.1:5555")
	l, err := inside.Listen(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var server sync.WaitGroup
	defer server.Wait()
	server.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	})
	if c, err := other.Dial(t.Context(), at); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("dialled %v in a namespace where nobody listens: %v", c, err)
	}
	c, err := inside.Dial(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "there and back"); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "there and back" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestDialCancelled dials an address that never answers: the answer is what ended the context.
func TestDialCancelled(t *testing.T) {
	n := pinned(t)
	err := n.Do(func() error { // an address on a link that leads nowhere
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "nowhere"}, PeerName: "end"}
		if err := netlink.LinkAdd(link); err != nil {
			return err
		}
		address, err := netlink.ParseAddr("192.0.2.1/24")
		return errors.Join(err, netlink.AddrAdd(link, address), netlink.LinkSetUp(link))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
		for range 50 { // the poller may wake for what a socket was before
			ctx, cancel := context.WithTimeout(t.Context(), after)
			if _, err := n.Dial(ctx, netip.MustParseAddrPort("192.0.2.2:80")); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("dial until %v have passed: %v", after, err)
			}
			cancel()
		}
	}
}

// TestThreadsStay enters namespaces from many goroutines: no thread of the process is left in one, the main thread
// included, which this process does not keep locked.
func TestThreadsStay(t *testing.T) {
	n := pinned(t)
	home, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for range 200 {
		work.Go(func() {
			err := n.Do(func() error {
				if unix.Gettid() == unix.Getpid() {
					return errors.New("the main thread entered the namespace")
				}
				here, err := os.Readlink(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
				if here == home {
					return fmt.Errorf("still in %s", home)
				}
				runtime.Gosched()
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	for gone := false; !gone; runtime.Gosched() { // threads end a moment after their goroutines
		threads, err := filepath.Glob("/proc/self/task/*/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		gone = true
		for _, thread := range threads {
			if where, err := os.Readlink(thread); err == nil && where != home {
				gone = false
			}
		}
	}
	if main, err := os.Readlink("/proc/self/ns/net"); err != nil || main != home {
		t.Errorf("the process is in %s, want %s: %v", main, home, err)
	}
}

// TestAbsent opens what is no namespace.
func TestAbsent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + ".missing"} {
		if _, err := netns.Open(path); !errors.Is(err, netns.ErrAbsent) {
			t.Errorf("open %s: %v, want %v", path, err, netns.ErrAbsent)
		}
	}
}
