// Package app is what an agent does: it joins, brings up its end of the overlay, keeps a connection to its manager,
// and makes its machine what the last spec says, also while no manager can be reached.
//
// It knows nothing of HTTP routes (package httpapi calls it), and touches the machine only through agent/host and
// vpn/wg. What a role is only its service type's half knows.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/daemon/blobs"
	"conpaas/client/join"
	"conpaas/client/wire"
	"conpaas/vpn/wg"
)

// Files below the host's state directory.
const (
	BootstrapFile = "bootstrap.json"
	stateDir      = "state"
	specFile      = stateDir + "/spec.json"
	parentFile    = stateDir + "/parent.json"
	epochFile     = stateDir + "/epoch"
	blobDir       = stateDir + "/blobs"
)

// Options are what an agent is made of.
type Options struct {
	Host      *host.Host
	Log       *slog.Logger
	Bootstrap api.Bootstrap
	Services  map[api.ServiceType]func() service.Half
	Interface string // of the overlay; "": DefaultInterface
	Timing    Timing // zero: DefaultTiming
}

// DefaultInterface is the name of the overlay's network interface on machines.
const DefaultInterface = "cps0"

// App is one agent. Its methods are for use by several goroutines.
type App struct {
	host    *host.Host
	log     *slog.Logger
	trace   daemon.Trace // the request that has caused the spec which is being applied
	boot    api.Bootstrap
	halves  map[api.ServiceType]func() service.Half
	timing  Timing
	guard   *wire.Guard
	board   *board
	blobs   *blobs.Store
	wake    chan struct{}                     // something for the worker to look at
	acting  chan struct{}                     // the place of the one action
	mounted atomic.Pointer[[]api.VolumeMount] // of the spec that was applied last, those that are there
	private string                            // overlay key, base64
	iface   string                            // the overlay's

	// Set by Run before anything else is started:
	answer  api.JoinAnswer
	store   *mtls.Store
	renewal *mtls.Renewal
	bootID  string
	overlay overlay
	address netip.Addr // where roles listen

	mu      sync.Mutex
	desired *stored // nil until a manager has sent a spec
	parent  api.Parent
}

// New opens the agent's state. Nothing runs before Run.
func New(o Options) (*App, error) {
	a := &App{
		host: o.Host, boot: o.Bootstrap, halves: o.Services,
		timing: o.Timing, iface: cmp.Or(o.Interface, DefaultInterface), board: newBoard(), wake: make(chan struct{}, 1), acting: make(chan struct{}, 1),
	}
	a.mounted.Store(new([]api.VolumeMount))
	a.log = a.trace.Logger(o.Log.With(daemon.KeyNode, o.Bootstrap.Node))
	if a.timing == (Timing{}) {
		a.timing = DefaultTiming()
	}
	if o.Bootstrap.Kind != api.KindAgent {
		return nil, fmt.Errorf("the bootstrap data are for a %s, and this program is the agent", o.Bootstrap.Kind)
	}
	if err := a.host.State().Mkdir(stateDir, 0o700, host.User{}); err != nil {
		return nil, err
	}
	var err error
	if a.blobs, err = blobs.Open(a.host.State().Path(blobDir), "this node"); err != nil {
		return nil, err
	}
	if a.private, err = join.OverlayKey(a.host.State().Path(stateDir), wg.NewKey); err != nil {
		return nil, err
	}
	if a.guard, err = wire.OpenGuard(a.host.State().Path(epochFile)); err != nil {
		return nil, err
	}
	if a.bootID, err = join.BootID(a.host.Run().Dir()); err != nil {
		return nil, err
	}
	if a.desired = a.loadSpec(); a.desired != nil {
		a.blobs.Want(a.desired.Spec.Blobs)
	}
	return a, nil
}

// Guard refuses the calls of deposed managers.
func (a *App) Guard() *wire.Guard { return a.guard }

// Host is the agent's machine.
func (a *App) Host() *host.Host { return a.host }

// Run is the agent's life: it joins, applies the spec that it finds on disk, and serves handler to its manager until
// ctx ends. The programs of the roles and the overlay go on after it.
func (a *App) Run(ctx context.Context, handler http.Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.join(ctx); err != nil {
		return err
	}
	a.parent = a.loadParent()
	if err := a.makeOverlay(); err != nil {
		return err
	}
	a.board.change(func(s *api.NodeStatus) {
		s.Volumes = volumeIDs(a.mountedHere()) // which the agent before this one has mounted
		s.Node, s.BootID, s.Version, s.DataPlane = a.boot.Node, a.bootID, daemon.Version, a.overlay.dataPlane()
	})
	var all sync.WaitGroup
	for _, part := range []func(context.Context){
		a.overlay.run, a.work, a.renewal.Run, func(ctx context.Context) { a.connect(ctx, handler) },
	} {
		all.Go(func() { part(ctx) })
	}
	all.Wait()
	return ctx.Err()
}

func (a *App) join(ctx context.Context) error {
	public, err := wg.Public(a.private)
	if err != nil {
		return fmt.Errorf("%w; remove %s from the state directory and give this node a new machine", err, join.OverlayKeyFile)
	}
	a.answer, a.store, err = join.Join(ctx, a.log, a.boot, a.host.State().Path(stateDir), a.bootID, daemon.Version, a.dataPlane(), api.OverlayKey(public))
	if err != nil {
		return err
	}
	a.renewal = join.Renewal(a.log, a.boot, a.store)
	if a.active() {
		a.address = a.answer.Overlay
		return nil
	}
	if a.address, err = netip.ParseAddr(a.boot.Listen); err != nil {
		return fmt.Errorf("the bootstrap data say that there is no network and name no address to listen on: %w", err)
	}
	return nil
}

// active tells whether the machine has a network of its own, and with it a real overlay.
func (a *App) active() bool { return a.boot.Overlay }

func (a *App) dataPlane() string {
	if !a.active() {
		return dataPlaneNone
	}
	return wg.Detect()
}

// WantTrust has the node renew its certificate where what it trusts has another name.
func (a *App) WantTrust(trust string) { a.renewal.Want(trust) }

// node is what halves are told of the machine.
func (a *App) node(s api.NodeSpec) service.Node {
	return service.Node{ID: a.boot.Node, Service: s.Name, Address: a.address, Active: a.active(), Volumes: *a.mounted.Load()}
}

// nudge makes the worker look at what is new.
func (a *App) nudge() {
	select {
	case a.wake <- struct{}{}:
	default: // it has been told already
	}
}

// ended tells whether an error is only the end of ctx.
func ended(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
}
