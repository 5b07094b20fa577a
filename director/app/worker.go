package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/store"
)

// worker makes one application what its owner wants. It is level-triggered: each round reads the database and
// what the manager reports, and takes every step that is possible now. Any step may be the last before a crash;
// the next round goes on from what was recorded.
type worker struct {
	d     *Director
	id    api.ApplicationID
	log   *slog.Logger
	trace daemon.Trace // the newest request, until what it asked for is there
	wakes chan struct{}
	link  *link

	// What follows belongs to the goroutine of run.
	ctx      context.Context
	steps    []nodeStep // of this stage, not yet written
	calls    *calls
	patience *patience
	silent   map[api.NodeID]time.Time    // since when a node is not connected
	failures map[api.ServiceID]*failures // of machines, per service; 0 is the manager
	refused  string                      // the last refusal of the manager's plan, to tell it once
	braked   bool                        // people were told that silent machines are not replaced
}

// failures counts the machines that failed one after another, and makes the next wait.
type failures struct {
	count int
	until time.Time
	last  string
}

// failuresAllowed is after how many failures in a row an operation gives up.
const failuresAllowed = 5

func newWorker(ctx context.Context, d *Director, id api.ApplicationID) *worker {
	w := &worker{
		ctx: ctx, d: d, id: id, wakes: make(chan struct{}, 1),
		silent: make(map[api.NodeID]time.Time), failures: make(map[api.ServiceID]*failures),
	}
	w.log = w.trace.Logger(d.log.With(daemon.KeyApplication, id))
	w.link = newLink(w)
	w.calls, w.patience = newCalls(w), newPatience()
	return w
}

// kick makes the worker look again soon.
func (w *worker) kick() {
	select {
	case w.wakes <- struct{}{}:
	default:
	}
}

// idleRound is how often a worker looks though nothing has called it.
const idleRound = time.Minute

func (w *worker) run(ctx context.Context) {
	defer w.calls.wait()
	next := idleRound // who makes a worker for its work wakes it
	for {
		timer := time.NewTimer(min(next, idleRound))
		select {
		case <-w.wakes:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		var err error
		next, err = w.round(ctx)
		switch {
		case errors.Is(err, errPurged):
			return
		case ctx.Err() != nil:
			return
		case err != nil:
			// The database does not work now (full, locked): nothing is lost, every step is taken again.
			w.log.Error("a round failed", daemon.KeyError, err)
			next = 2 * time.Second
		}
	}
}

var errPurged = errors.New("the application is gone")

// snapshot is the application at the begin of a round.
type snapshot struct {
	application store.Application
	services    []store.Service
	nodes       []store.Node // that are not gone
	unreleased  []store.Node
	volumes     []store.Volume    // that are neither orphans nor gone
	operations  []store.Operation // that are open
	hosted      hosted

	changed bool // a node was changed in this round: another one follows
}

// set puts a changed node in place of its old row; one that is gone leaves.
func (s *snapshot) set(n store.Node) {
	s.changed = true
	i := slices.IndexFunc(s.nodes, func(have store.Node) bool { return have.ID == n.ID })
	switch {
	case n.State == api.NodeGone && i >= 0:
		s.nodes = slices.Delete(s.nodes, i, i+1)
	case n.State == api.NodeGone:
	case i >= 0:
		s.nodes[i] = n
	default:
		s.nodes = append(s.nodes, n)
	}
}

// manager gives the node that manages the application now.
func (s *snapshot) manager() (store.Node, bool) {
	i := slices.IndexFunc(s.nodes, func(n store.Node) bool { return n.IsManager() && acts(n) })
	if i < 0 {
		return store.Node{}, false
	}
	return s.nodes[i], true
}

// acts tells whether a node is or will be of use.
func acts(n store.Node) bool {
	return n.State != api.NodeFailed && n.State != api.NodeDeleting && n.State != api.NodeGone
}

func (w *worker) load(ctx context.Context) (s snapshot, err error) {
	err = w.d.store.View(ctx, func(r *store.Read) (err error) {
		if s.application, err = r.Application(w.id); err != nil {
			return err
		}
		if s.services, err = r.Services(w.id); err != nil {
			return err
		}
		if s.nodes, s.unreleased, err = r.HeldNodes(w.id); err != nil {
			return err
		}
		if s.volumes, err = r.HeldVolumes(w.id); err != nil {
			return err
		}
		if s.operations, err = r.OpenOperations(w.id); err != nil {
			return err
		}
		if len(s.services) > 0 {
			s.hosted, err = loadHosted(r, w.id)
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return s, errPurged
	}
	return s, err
}

// round takes every step that is possible now and tells when to look again at the latest.
func (w *worker) round(ctx context.Context) (time.Duration, error) {
	request := w.trace.ID()
	s, err := w.load(ctx)
	if err != nil {
		return 0, err
	}
	w.steps = nil // of a round that failed
	seen := w.link.seen()
	next := &deadline{now: time.Now(), left: idleRound}
	steps := []func(context.Context, *snapshot, observed, *deadline) error{
		w.volumes,   // disks that outlive the nodes
		w.wants,     // nodes that are to be or not to be
		w.health,    // what the manager and the silence say of nodes
		w.machines,  // calls to the clouds
		w.addresses, // freed ones
		w.code,      // versions that serve or are refused
		w.push,      // the spec to the manager
		w.show,      // states that people see
		w.operate,   // operations
	}
	for _, step := range steps {
		if err := step(ctx, &s, seen, next); err != nil {
			return 0, err
		}
		if err := w.commit(ctx, &s); err != nil {
			return 0, err
		}
	}
	w.patience.round()
	if s.changed {
		return 0, nil
	}
	if len(s.operations) == 0 && w.link.upToDate() {
		w.trace.End(request)
	}
	return next.left, nil
}

// deadline collects when something must be looked at again.
type deadline struct {
	now  time.Time
	left time.Duration
}

// at asks for a look at t.
func (d *deadline) at(t time.Time) { d.left = max(min(d.left, t.Sub(d.now)), time.Millisecond) }
