//go:build linux

package wgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Space is a network namespace of its own, with nothing but loopback, that ends with the test.
type Space struct {
	file   *os.File
	handle *netlink.Handle
}

// NewSpace makes a namespace.
func NewSpace(t testing.TB) *Space {
	t.Helper()
	file, err := unshared()
	if err != nil {
		t.Fatalf("make a network namespace (needs root): %v", err)
	}
	t.Cleanup(func() { file.Close() })
	handle, err := netlink.NewHandleAt(netns.NsHandle(file.Fd()))
	if err != nil {
		t.Fatalf("netlink in a namespace: %v", err)
	}
	t.Cleanup(handle.Close)
	s := &Space{file: file, handle: handle}
	lo, err := handle.LinkByName("lo")
	if err == nil {
		err = handle.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatalf("bring loopback up: %v", err)
	}
	return s
}

// unshared makes a namespace on this thread and leaves it again.
func unshared() (file *os.File, err error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	file, err = os.Open("/proc/thread-self/ns/net")
	return file, errors.Join(err, leave(home))
}

// leave brings a locked thread back. A thread that cannot come back stays locked, so that it ends with its
// goroutine and nobody else gets it.
func leave(home *os.File) error {
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leave a network namespace: %w", err)
	}
	runtime.UnlockOSThread()
	return nil
}

// Do runs f with its thread inside the namespace. Sockets that f opens and processes that it starts stay
// there; goroutines that it starts do not run there, so dial IP addresses only.
func (s *Space) Do(f func() error) (err error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	defer func() { err = errors.Join(err, leave(home)) }()
	return f()
}

// Listen opens a TCP listener in the namespace.
func (s *Space) Listen(t testing.TB, at netip.AddrPort) net.Listener {
	t.Helper()
	var l net.Listener
	err := s.Do(func() (err error) {
		l, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		t.Fatalf("listen on %s: %v", at, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// ListenUDP opens a UDP socket in the namespace.
func (s *Space) ListenUDP(t testing.TB, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	err := s.Do(func() (err error) {
		c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		t.Fatalf("open UDP %s: %v", at, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Dial makes a connection from the namespace; network is "tcp4" or "udp4".
func (s *Space) Dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	var c net.Conn
	err := s.Do(func() (err error) {
		var d net.Dialer
		c, err = d.DialContext(ctx, network, to.String())
		return err
	})
	return c, err
}
