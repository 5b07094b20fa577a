package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon"
	"conpaas/director/cloud/local/netns"
)

// network is where the process finds the network namespace that it dials in.
const network = "/proc/self/fd/3"

// look is the time between two looks at the list that nobody has asked for.
const look = time.Second

// process is the body of a forwarder.
type process struct {
	log    *slog.Logger
	dir    string
	dial   func(ctx context.Context, to netip.AddrPort) (*net.TCPConn, error)
	open   map[Publication]*Forwarder
	answer answer
}

// Run publishes what the list in dir says until ctx ends: the body of the process that Own starts, which has the network
// namespace of the targets as descriptor 3. SIGHUP says that the list is another one. A port that is taken is tried again.
func Run(ctx context.Context, log *slog.Logger, dir string) error {
	hurry := make(chan os.Signal, 1)
	signal.Notify(hurry, unix.SIGHUP)
	defer signal.Stop(hurry)
	space, err := netns.Open(network)
	if err != nil {
		return fmt.Errorf("forward: descriptor 3: %w; cpsdirector serve starts this program", err)
	}
	defer space.Close()
	inherited := os.NewFile(3, network)
	defer inherited.Close()
	p := &process{log: log, dir: dir, dial: space.Dial, open: map[Publication]*Forwarder{}}
	if p.answer.Network, err = inode(inherited); err != nil {
		return fmt.Errorf("forward: %w", err)
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := p.follow(); err != nil {
			log.Error("the list of published ports is not followed", daemon.KeyError, err)
		}
		select {
		case <-hurry:
		case <-tick.C:
		case <-ctx.Done():
			return p.take(nil, Failures{})
		}
	}
}

// follow makes the process what the list says, and answers when there is something new to say.
func (p *process) follow() error {
	var l list
	if err := read(filepath.Join(p.dir, listFile), &l); err != nil || l.Mark == "" {
		return err
	}
	said := answer{Mark: l.Mark, Network: p.answer.Network, Failed: Failures{}}
	if err := p.take(l.Publications, said.Failed); err != nil {
		return err
	}
	if said.Mark == p.answer.Mark && maps.Equal(said.Failed, p.answer.Failed) {
		return nil
	}
	if err := write(filepath.Join(p.dir, answerFile), said); err != nil {
		return err
	}
	p.answer = said
	p.log.Info("ports are published", "ports", len(p.open), "taken by others", len(said.Failed))
	return nil
}

// take listens on the ports of these publications and on no others.
func (p *process) take(wanted []Publication, failed Failures) error {
	keep := make(map[Publication]bool, len(wanted))
	for _, w := range wanted {
		keep[w] = true
	}
	for is, f := range p.open {
		if keep[is] {
			continue
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("end the forwarder of port %d: %w", is.Port, err)
		}
		delete(p.open, is)
	}
	for w := range keep {
		if p.open[w] != nil {
			continue
		}
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(w.Port)})
		if err != nil {
			failed[w.Port] = unix.EIO
			if code, ok := errors.AsType[syscall.Errno](err); ok {
				failed[w.Port] = code
			}
			continue
		}
		p.open[w] = New(l, Options{
			Dial: func(ctx context.Context) (*net.TCPConn, error) { return p.dial(ctx, w.Target) },
			Log:  p.log.With("machine", w.Owner, "port", w.Target.Port()),
		})
	}
	return nil
}

// inode tells namespaces apart, as long as somebody holds them.
func inode(space *os.File) (uint64, error) {
	info, err := space.Stat()
	if err != nil {
		return 0, err
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}
