package app

import (
	"context"
	"crypto/x509"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/daemon/blobs"
	"conpaas/client/wire"
	"conpaas/manager/service"
)

const (
	fastCalls = 64 // calls to agents at one time
	slowCalls = 16 // the same for agents whose last call went wrong, so that these keep nobody waiting

	// A flood of reports may take a fifth of a core for the looks at everything that follow from them, not more. What is not
	// used meanwhile is there for the moment in which a hundred machines come.
	lookShare = 5
	lookSaved = time.Second
	pauseMin  = 5 * time.Millisecond // between two looks
)

// Overlay is the manager's own end of the application's overlay network.
type Overlay interface {
	// Configure makes the manager's end know exactly these peers and relays; it returns when the data plane has them.
	Configure(ctx context.Context, peers []api.Peer, relays []api.Relay) error
	// Relay gives the relay that this manager runs, nil where there is none.
	Relay() *api.Relay
	// Status gives the data plane's kind and how it sees each peer.
	Status() (dataPlane string, peers []api.PeerStatus)
}

// Certificate is the manager's own, which renews itself.
type Certificate interface {
	// Want asks for a renewal while Trust is another than this name.
	Want(trust string)
	// Trust names the CA certificates that the manager trusts and the one that has signed its own.
	Trust() string
	// Trusts tells whether one of them has signed a certificate, whatever the time.
	Trusts(c *x509.Certificate) bool
}

// Config is what a Worker needs. All fields but Timing must be set.
type Config struct {
	Log         *slog.Logger
	Node        api.NodeID // the manager's own
	Application api.ApplicationID
	BootID      string
	Version     string
	Cache       string // file that keeps the last spec for a restart; the blobs that it names are in the folder blobs beside it
	Halves      map[api.ServiceType]service.Half
	Overlay     Overlay
	Certificate Certificate
	Timing      Timing // DefaultTiming where it is zero
}

// Worker manages one application. One goroutine owns the core; everything else hands it closures.
type Worker struct {
	cfg   Config
	log   *slog.Logger
	trace daemon.Trace // the newest request that the director has named, until all is settled
	hub   *wire.Hub
	core  *core // only in the loop

	inbox    chan func()
	ended    chan struct{} // closed when the loop has ended
	putting  chan struct{} // one token: one Put at a time
	sessions map[*wire.Session]*session
	number   uint64 // of the last session
	trust    string // what the manager trusted at the last look

	fast, slow chan struct{} // free places for calls
	blobs      *blobs.Store
	blobPlaces chan struct{}            // free places for sending blobs
	deliveries map[api.NodeID]*delivery // only in the loop
	budgets    map[api.NodeID]*rate.Limiter
	work       sync.WaitGroup

	board *board
}

// New makes a worker, which goes on with the spec that an earlier one has kept, if any.
func New(cfg Config) (*Worker, error) {
	if cfg.Timing == (Timing{}) {
		cfg.Timing = DefaultTiming()
	}
	w := &Worker{
		cfg: cfg, core: newCore(cfg.Halves, cfg.Timing),
		inbox: make(chan func(), 1024), ended: make(chan struct{}), putting: make(chan struct{}, 1), sessions: map[*wire.Session]*session{},
		fast: make(chan struct{}, fastCalls), slow: make(chan struct{}, slowCalls), board: newBoard(),
		blobPlaces: make(chan struct{}, blobSends), deliveries: map[api.NodeID]*delivery{}, budgets: map[api.NodeID]*rate.Limiter{},
	}
	w.log = w.trace.Logger(cfg.Log.With(daemon.KeyApplication, cfg.Application))
	var err error
	if w.blobs, err = blobs.Open(filepath.Join(filepath.Dir(cfg.Cache), "blobs"), "this manager"); err != nil {
		return nil, err
	}
	w.core.relay = cfg.Overlay.Relay()
	w.hub = wire.NewHub(wire.HubOptions{Log: w.log, Connected: w.connected, Disconnected: w.disconnected, Clone: w.cloned})
	kept, ok, err := readCache(cfg.Cache, cfg.Application)
	switch {
	case err != nil:
		w.log.Warn("the kept spec cannot be used; the director sends a new one", daemon.KeyError, err)
	case ok:
		maps.Copy(w.core.former, kept.Former)
		w.core.learn(time.Now(), kept.Epoch, kept.Spec)
		w.wantBlobs(kept.Spec)
	}
	return w, nil
}

// Run works until ctx ends. When it returns, every connection is closed and nothing of it runs any more.
func (w *Worker) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		close(w.ended)
		w.hub.Close()
		w.work.Wait()
	}()
	if w.core.spec != nil {
		if err := w.configure(ctx, *w.core.spec); err != nil {
			w.log.Error("the overlay network is not up", daemon.KeyError, err)
		}
	}
	tick := time.NewTicker(w.cfg.Timing.Tick)
	defer tick.Stop()
	pause := pauseMin
	// In milliseconds of looking.
	budget := rate.NewLimiter(rate.Limit(time.Second.Milliseconds()/lookShare), int(lookSaved.Milliseconds()))
	look := time.NewTimer(0)
	defer look.Stop()
	waiting := true
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case f := <-w.inbox:
			f()
		case <-tick.C:
		case <-look.C:
			began := time.Now()
			w.look(ctx, began)
			took := min(time.Since(began), lookSaved)
			waiting, pause = false, max(pauseMin, budget.ReserveN(time.Now(), int(took.Milliseconds())).Delay())
			continue
		}
		if !waiting {
			waiting = true
			look.Reset(pause)
		}
	}
}

// look decides what follows from what is known now, tells the director and starts the calls.
func (w *Worker) look(ctx context.Context, now time.Time) {
	decided := w.core.step(now)
	decided.state.Self, decided.state.Lacks = w.self(), w.blobs.Lacks()
	w.board.publish(decided.state)
	if trust := decided.state.Self.Trust; trust != w.trust { // a retired authority's connections end too
		w.trust = trust
		w.work.Go(func() { w.hub.Distrust(w.cfg.Certificate.Trusts) })
	}
	if len(decided.calls) == 0 && decided.state.Settled {
		w.trace.Set("")
	}
	if id := w.trace.ID(); id != "" {
		ctx = wire.WithRequestID(ctx, id)
	}
	for _, c := range decided.calls {
		w.start(ctx, c)
	}
	w.deliver(ctx, now)
}

// self is the status of the manager's own machine.
func (w *Worker) self() *api.NodeStatus {
	plane, peers := w.cfg.Overlay.Status()
	return &api.NodeStatus{Node: w.cfg.Node, BootID: w.cfg.BootID, Version: w.cfg.Version, DataPlane: plane, Overlay: peers, Trust: w.cfg.Certificate.Trust()}
}

// post hands f to the loop; it is dropped when the loop has ended.
func (w *Worker) post(f func()) {
	select {
	case w.inbox <- f:
	case <-w.ended:
	}
}

// do has f run by the loop and waits for it.
func (w *Worker) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case w.inbox <- func() { f(); close(done) }:
	case <-w.ended:
		return api.Errorf(api.CodeUnavailable, "the manager is stopping")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
		return nil
	case <-w.ended:
		return api.Errorf(api.CodeUnavailable, "the manager is stopping")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
