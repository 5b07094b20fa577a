// Package forward carries TCP connections from ports of 127.0.0.1 into another network namespace, in a process of its
// own (Run) that outlives the director. Own is the director's side of that process.
//
// The two meet in files: the director writes what is to be published, the process says what is. The package knows nothing
// of machines, and reads nothing of what it carries.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options says where connections go and how many there may be.
type Options struct {
	Dial        func(ctx context.Context) (*net.TCPConn, error) // makes the connection to the target
	Log         *slog.Logger
	Connections int           // at the same time; further ones wait in the listener's queue. 1024 when zero
	DialTime    time.Duration // limit of Dial; 10 s when zero
	// HalfTime is how long a side may take nothing of what is sent to it, and how long nothing may be carried after
	// one side has said that it sends no more; 5 min when zero. Before that, quiet connections live while both ends
	// answer TCP keepalive probes.
	HalfTime time.Duration
}

// Forwarder accepts on a listener until it is closed.
type Forwarder struct {
	Options
	listener net.Listener
	cancel   context.CancelFunc
	work     sync.WaitGroup
}

// New begins to accept. Close ends it and closes the listener.
func New(l net.Listener, o Options) *Forwarder {
	if o.Connections == 0 {
		o.Connections = 1024
	}
	if o.DialTime == 0 {
		o.DialTime = 10 * time.Second
	}
	if o.HalfTime == 0 {
		o.HalfTime = 5 * time.Minute
	}
	ctx, cancel := context.WithCancel(context.Background()) // of the forwarder's life, which Close ends
	f := &Forwarder{Options: o, listener: l, cancel: cancel}
	f.work.Go(func() { f.accept(ctx) })
	return f
}

// Address is where connections are accepted.
func (f *Forwarder) Address() net.Addr { return f.listener.Addr() }

// Close stops accepting, cuts what is being carried and waits for it. It may be repeated.
func (f *Forwarder) Close() error {
	f.cancel()
	err := f.listener.Close()
	f.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// accept hands each connection to a goroutine, as long as there is room.
func (f *Forwarder) accept(ctx context.Context) {
	room := make(chan struct{}, f.Connections)
	for {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c, err := f.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, or the caller left: the listener goes on
			<-room
			f.Log.Warn("a forwarded connection was not accepted", "address", f.listener.Addr().String(), "err", err)
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		f.work.Go(func() {
			defer func() { <-room }()
			if err := f.carry(ctx, c.(*net.TCPConn)); err != nil && ctx.Err() == nil {
				f.Log.Debug("a forwarded connection ended", "address", f.listener.Addr().String(), "err", err)
			}
		})
	}
}

// carry connects to the target and copies both ways until both are done, one fails or ctx ends.
func (f *Forwarder) carry(ctx context.Context, client *net.TCPConn) error {
	defer client.Close()
	dialling, cancel := context.WithTimeout(ctx, f.DialTime)
	target, err := f.Dial(dialling)
	cancel()
	if err != nil {
		// A caller is told by a reset, as by a host that refuses the connection.
		return errors.Join(fmt.Errorf("dial the target: %w", err), client.SetLinger(0))
	}
	defer target.Close()
	if err := errors.Join(f.limit(client), f.limit(target)); err != nil {
		return err
	}
	cut := func() { _ = errors.Join(client.Close(), target.Close()) }
	stop := context.AfterFunc(ctx, cut)
	defer stop()
	way := &link{half: f.HalfTime, cut: cut}
	var back sync.WaitGroup
	back.Go(func() { way.copy(client, target) })
	way.copy(target, client)
	back.Wait()
	return way.failure
}

// limit makes the kernel end a connection whose other end is dead or takes nothing of what is sent.
func (f *Forwarder) limit(c *net.TCPConn) error {
	err := c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3})
	if err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(f.HalfTime.Milliseconds()))
	})
	return errors.Join(err, failed)
}

// link is one connection with its two directions.
type link struct {
	half time.Duration
	cut  func()

	mu      sync.Mutex
	ended   bool  // one direction is done
	failure error // the first one
}

// copy carries one direction to its end and passes the end on.
func (l *link) copy(to, from *net.TCPConn) {
	for {
		n, err := io.Copy(to, from)
		if !l.moved(n, err, to, from) {
			return
		}
	}
}

// moved judges what a direction carried and why it stopped, and tells whether it goes on. Only reads have a deadline:
// what was read is always written.
func (l *link) moved(n int64, err error, to, from *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		if err = from.SetReadDeadline(time.Now().Add(l.half)); err == nil {
			return true
		}
	}
	if err == nil {
		err = to.CloseWrite()
	}
	if err == nil && !l.ended {
		l.ended = true
		err = to.SetReadDeadline(time.Now().Add(l.half)) // now the other direction has to move
	}
	if err != nil && l.failure == nil {
		l.failure = err
		l.cut()
	}
	return false
}
