package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Dial connects to a TCP address inside the namespace. Only the socket is made on a thread of the namespace: an
// address that does not answer holds no thread.
func (n *Namespace) Dial(ctx context.Context, to netip.AddrPort) (*net.TCPConn, error) {
	file, err := n.socket()
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", to, err)
	}
	defer file.Close()
	if err := connect(ctx, file, to); err != nil {
		return nil, fmt.Errorf("dial %s: %w", to, err)
	}
	c, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", to, err)
	}
	return c.(*net.TCPConn), nil
}

// socket makes a TCP socket inside the namespace, known to Go's poller.
func (n *Namespace) socket() (*os.File, error) {
	fd := -1
	err := n.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "tcp"), nil
}

// connect connects the socket and waits for the result or the end of ctx.
func connect(ctx context.Context, socket *os.File, to netip.AddrPort) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	begun := false
	var result error
	err = raw.Write(func(fd uintptr) bool {
		if !begun {
			begun = true
			result = unix.Connect(int(fd), &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
			return !errors.Is(result, unix.EINPROGRESS)
		}
		var code int
		if code, result = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); result == nil && code != 0 {
			result = unix.Errno(code)
		}
		if result == nil { // the poller wakes also for what the socket was before it connected
			_, err := unix.Getpeername(int(fd))
			return !errors.Is(err, unix.ENOTCONN)
		}
		return true
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, result)
}
