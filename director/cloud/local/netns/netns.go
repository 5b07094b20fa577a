// Package netns works inside network namespaces other than the process's own: a socket stays in the namespace that it
// was made in, so only its making has to happen there.
//
// It knows nothing of clouds, bridges or firewalls. No goroutine of the process ever sees another namespace: the
// thread that enters one dies with the work. Nothing is resolved by name inside (the resolver uses other threads).
package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/thread"
)

// ErrAbsent says that a path is not (or no longer) a pinned namespace.
var ErrAbsent = errors.New("no network namespace is pinned there")

// Namespace is a network namespace that is kept open.
type Namespace struct{ file *os.File }

// Pin makes a new network namespace and keeps it alive by a bind mount on path, also when no process is in it. The
// file is made where it is missing.
func Pin(path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return fmt.Errorf("pin a network namespace: %w", err)
	}
	return thread.Do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		self := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		if err := unix.Mount(self, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("pin the network namespace on %s: %w", path, err)
		}
		return nil
	})
}

// Temporary makes a namespace that nothing pins: it is gone after Close.
func Temporary() (*Namespace, error) {
	n := &Namespace{}
	err := thread.Do(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		n.file, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		return err
	})
	return n, err
}

// Open opens a namespace by a path: where Pin pinned it, or a /proc/PID/ns/net. A file that is no namespace is
// ErrAbsent.
func Open(path string) (*Namespace, error) {
	var fs unix.Statfs_t
	switch err := unix.Statfs(path, &fs); {
	case errors.Is(err, unix.ENOENT) || err == nil && fs.Type != unix.NSFS_MAGIC:
		return nil, fmt.Errorf("open %s: %w", path, ErrAbsent)
	case err != nil:
		return nil, fmt.Errorf("open the network namespace %s: %w", path, err)
	}
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("open the network namespace: %w", err)
	}
	return &Namespace{file: file}, nil
}

// OfProcess opens the network namespace of a process.
func OfProcess(pid int) (*Namespace, error) { return Open(fmt.Sprintf("/proc/%d/ns/net", pid)) }

// FD is the open namespace, for netlink messages that name one. It is valid until Close.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// File opens the namespace once more, for another process. Where it is pinned can be unmounted meanwhile.
func (n *Namespace) File() (*os.File, error) {
	var file *os.File
	err := n.Do(func() (err error) {
		file, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		return err
	})
	return file, err
}

// Close lets go of the namespace; sockets made in it live on.
func (n *Namespace) Close() error { return n.file.Close() }

// Do runs f on a thread inside the namespace and waits for it. What f opens stays in the namespace. f must not start
// goroutines that need it.
func (n *Namespace) Do(f func() error) error {
	return thread.Do(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace %s: %w", n.file.Name(), err)
		}
		return f()
	})
}

// Listen listens on a TCP address inside the namespace.
func (n *Namespace) Listen(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	var l net.Listener
	err := n.Do(func() (err error) {
		var c net.ListenConfig
		l, err = c.Listen(ctx, "tcp", at.String())
		return err
	})
	return l, err
}
