package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"conpaas/certs"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/join"
	"conpaas/client/wire"
	"conpaas/manager/app"
	"conpaas/manager/httpapi"
	"conpaas/manager/journal"
	"conpaas/manager/overlay"
	"conpaas/vpn/wg"
)

// agentPort is the TCP port on which agents connect, on the manager's overlay address.
const agentPort = 5556

// network is the manager's end of the overlay, brought up or planned.
type network interface {
	app.Overlay
	Run(ctx context.Context) error
}

var (
	_ network = (*overlay.Device)(nil)
	_ network = (*overlay.Planned)(nil)
)

// manager has the parts of a manager that has joined.
type manager struct {
	log     *slog.Logger
	boot    api.Bootstrap
	answer  api.JoinAnswer
	store   *mtls.Store
	renewal *mtls.Renewal
	bootID  string
	address netip.Addr // where agents connect
	journal *journal.Journal
	guard   *wire.Guard
	network network
	worker  *app.Worker
	splices *httpapi.Splices // connections of agents that the director hands over
}

// directories of a machine.
type directories struct{ lib, state, run, log string }

func directoriesBelow(root string) directories {
	at := func(path string) string { return filepath.Join("/", root, path) }
	return directories{lib: at("var/lib/conpaas"), state: at("var/lib/conpaas/state"), run: at("run/conpaas"), log: at("var/log/conpaas")}
}

// open joins and makes the parts. Joining may take long: it waits for the director.
func open(ctx context.Context, o Options) (_ *manager, err error) {
	var undo daemon.Undo
	defer func() { err = errors.Join(err, undo.Run()) }()
	dirs := directoriesBelow(o.Root)
	for _, dir := range []string{dirs.state, dirs.run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the manager's directories: %w", err)
		}
	}
	m := &manager{splices: httpapi.NewSplices()}
	if m.journal, err = journal.Open(filepath.Join(dirs.log, "manager.log")); err != nil {
		return nil, err
	}
	undo.Add("log", m.journal.Close)
	if m.boot, err = join.ReadBootstrap(filepath.Join(dirs.lib, "bootstrap.json")); err != nil {
		return nil, err
	}
	if m.boot.Kind != api.KindManager {
		return nil, fmt.Errorf("the bootstrap data are for a %s, and this program is the manager", m.boot.Kind)
	}
	m.log = daemon.Logger(io.MultiWriter(o.Stderr, m.journal), o.Level, o.JSON)
	m.log.Info("manager begins", "version", daemon.Version, daemon.KeyNode, m.boot.Node)
	if m.bootID, err = join.BootID(dirs.run); err != nil {
		return nil, err
	}
	if m.guard, err = wire.OpenGuard(filepath.Join(dirs.state, "epoch")); err != nil {
		return nil, err
	}
	if err := m.join(ctx, dirs); err != nil {
		return nil, err
	}
	m.renewal = join.Renewal(m.log, m.boot, m.store)
	if err := m.makeNetwork(ctx, o, dirs); err != nil {
		return nil, err
	}
	m.worker, err = app.New(app.Config{
		Log: m.log, Node: m.boot.Node, Application: m.answer.Application, BootID: m.bootID, Version: daemon.Version,
		Cache: filepath.Join(dirs.state, "spec.json"), Halves: o.Halves, Overlay: m.network, Certificate: m.renewal, Timing: o.Timing,
	})
	if err != nil {
		return nil, err
	}
	undo.Keep()
	return m, nil
}

func (m *manager) join(ctx context.Context, dirs directories) error {
	private, err := join.OverlayKey(dirs.state, wg.NewKey)
	if err != nil {
		return err
	}
	public, err := wg.Public(private)
	if err != nil {
		return fmt.Errorf("%w; remove %s from %s and give this node a new machine", err, join.OverlayKeyFile, dirs.state)
	}
	plane := "none"
	if m.boot.Overlay {
		plane = wg.Detect()
	}
	m.answer, m.store, err = join.Join(ctx, m.log, m.boot, dirs.state, m.bootID, daemon.Version, plane, api.OverlayKey(public))
	return err
}

func (m *manager) makeNetwork(ctx context.Context, o Options, dirs directories) (err error) {
	if !m.boot.Overlay {
		m.network = &overlay.Planned{}
		if m.address, err = netip.ParseAddr(m.boot.Listen); err != nil {
			return fmt.Errorf("the bootstrap data say that there is no network and name no address to listen on: %w", err)
		}
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program of the manager: %w", err)
	}
	m.address = m.answer.Overlay
	m.network, err = overlay.New(overlay.Config{
		Log: m.log, Program: self, RunDir: dirs.run, StateDir: dirs.state, LogDir: dirs.log, Application: m.answer.Application,
		Network: m.answer.Network, Address: m.answer.Overlay, Outside: outside(ctx, m.directors()[0].address), Interface: o.Interface,
	})
	return err
}

// outside gives the machine's own address towards another one; the invalid address where there is none. No datagram
// is sent.
func outside(ctx context.Context, peer string) netip.Addr {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp4", peer)
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
}

// run has all parts work until ctx ends or one of them breaks.
func (m *manager) run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return m.worker.Run(ctx) })
	parts.Go(func() error { return m.network.Run(ctx) })
	parts.Go(func() error { return m.serveAgents(ctx) })
	parts.Go(func() error { return m.connect(ctx) })
	parts.Go(func() error {
		m.renewal.Run(ctx)
		return context.Cause(ctx)
	})
	err := parts.Wait()
	m.log.Info("manager ends", daemon.KeyError, err)
	return errors.Join(err, m.journal.Close())
}

// serveAgents takes the agents' connections. The overlay address is there only once the network is up.
func (m *manager) serveAgents(ctx context.Context) error {
	address := net.JoinHostPort(m.address.String(), strconv.Itoa(agentPort))
	listener, err := m.listen(ctx, address)
	if err != nil {
		return err
	}
	m.log.Info("agents can connect", "address", address)
	self := certs.Identity{
		Deployment: m.boot.Deployment, Role: certs.RoleManager, Application: m.answer.Application.String(), Node: string(m.boot.Node),
	}
	handler := httpapi.Agents(m.worker, m.store, self, m.boot, m.log)
	return wire.Serve(ctx, m.log, []net.Listener{listener, m.splices}, mtls.ServerConfig(m.certificate), handler, func() []byte { return []byte(m.boot.CA) })
}

func (m *manager) listen(ctx context.Context, address string) (net.Listener, error) {
	said := false
	for {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err == nil {
			return listener, nil
		}
		if !said {
			m.log.Warn("agents cannot connect yet", daemon.KeyError, err)
			said = true
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
