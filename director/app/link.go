package app

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"conpaas/certs"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/manager"
	"conpaas/client/wire"
)

// link is the connection to the manager of one application: what it reports, and what has been pushed to it.
type link struct {
	w *worker

	mu      sync.Mutex
	session *wire.Session
	client  *manager.Client
	report  observed
	wanted  *push         // newest spec to push
	acked   *push         // newest spec that the connected manager has taken
	news    chan struct{} // closed and made anew when acked changes
	lacks   []string      // blobs that the connected manager has not got yet
	lacking chan struct{} // wakes the one who sends them
	stop    context.CancelFunc
	known   told // by wanted

	events, reports *rate.Limiter // of the application, whatever connection its manager has
}

// push is one spec on its way.
type push struct {
	epoch api.Epoch
	spec  api.ManagerSpec
}

// observed is what the connected manager has said, merged.
type observed struct {
	node     api.NodeID // the manager's; "" while none is connected
	since    time.Time  // of the connection, or of its end
	lost     bool       // there was a connection, and none has come after it
	revision uint64
	settled  bool
	plan     *api.NodePlan
	services map[api.ServiceID]api.ServiceStatus
	health   map[api.NodeID]api.NodeHealth
	self     *api.NodeStatus
	version  string // why the manager's version cannot be told anything, "" when it can
}

func (o observed) service(id api.ServiceID) (api.ServicePlan, bool) {
	if o.plan == nil {
		return api.ServicePlan{}, false
	}
	i := slices.IndexFunc(o.plan.Services, func(p api.ServicePlan) bool { return p.Service == id })
	if i < 0 {
		return api.ServicePlan{}, false
	}
	return o.plan.Services[i], true
}

// holds tells whether a report says nothing that is not known: it is a mere sign of life, or has an event only.
func (o *observed) holds(r api.ManagerReport) bool {
	return !r.Snapshot && r.Plan == nil && r.Self == nil && len(r.Services)+len(r.Nodes) == 0 && r.Revision == o.revision && r.Settled == o.settled
}

func newLink(w *worker) *link {
	return &link{
		w: w, report: observed{since: time.Now()}, news: make(chan struct{}), lacking: make(chan struct{}, 1),
		events: rate.NewLimiter(eventsPerSecond, eventsAtOnce), reports: rate.NewLimiter(reportsPerSecond, reportsAtOnce),
	}
}

// seen gives what the manager has said; its maps must not be changed.
func (l *link) seen() observed {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.report
	o.services, o.health = maps.Clone(o.services), maps.Clone(o.health)
	return o
}

// Connect takes over the connection of a manager. Only the application's present manager may connect.
func (d *Director) Connect(w http.ResponseWriter, r *http.Request, id certs.Identity) error {
	n, err := d.actingManager(r.Context(), id)
	if err != nil {
		return err
	}
	return d.hub.Accept(w, r, string(n.ID))
}

func (d *Director) managerConnected(child string, h api.Hello, s *wire.Session) {
	ctx := context.Background()
	n, err := d.node(ctx, api.NodeID(child))
	if err != nil {
		d.log.Error("a manager connected that is not known", daemon.KeyNode, child, daemon.KeyError, err)
		s.Close()
		return
	}
	w := d.worker(n.Application)
	if w == nil {
		s.Close()
		return
	}
	w.log.Info("the manager is connected", daemon.KeyNode, child, "version", h.Version)
	w.link.up(s, n.ID, manager.New(d.hub.Client(child)))
}

func (d *Director) managerDisconnected(child string, s *wire.Session, err error) {
	n, loadErr := d.node(context.Background(), api.NodeID(child))
	if loadErr != nil {
		return
	}
	if w := d.worker(n.Application); w != nil {
		w.log.Info("the manager is not connected any more", daemon.KeyNode, child, daemon.KeyError, err)
		w.link.lost(s)
	}
}

func (d *Director) managerCloned(child string, h api.Hello) {
	d.alarm(context.Background(), api.NodeID(child), "node.cloned",
		fmt.Sprintf("two machines act as node %s: boot ids alternate, the newest is %s; the node is quarantined", child, h.BootID))
}

func (l *link) up(s *wire.Session, node api.NodeID, client *manager.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil {
		l.stop()
	}
	ctx, stop := context.WithCancel(l.w.ctx)
	l.session, l.client, l.stop = s, client, stop
	// What was wanted of an earlier manager is not for this one: the worker's next round says what is.
	l.report, l.wanted, l.acked, l.lacks = observed{node: node, since: time.Now()}, nil, nil, nil
	l.w.d.group.Go(func() { l.pushing(ctx, client) })
	l.w.kick()
}

func (l *link) lost(s *wire.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != s {
		return
	}
	l.stop()
	l.session, l.client, l.stop, l.acked = nil, nil, nil, nil
	l.report = observed{since: time.Now(), lost: true}
	l.w.kick()
}

// want gives the newest spec to the goroutine that pushes.
func (l *link) want(p push) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wanted != nil && reflect.DeepEqual(*l.wanted, p) {
		return
	}
	l.wanted, l.known = &p, newTold(p.spec)
	l.tell()
}

// tell wakes those who wait for a change of wanted or acked; l.mu is held.
func (l *link) tell() {
	close(l.news)
	l.news = make(chan struct{})
}

// upToDate tells whether the manager has the newest spec, or there is none to tell.
func (l *link) upToDate() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session == nil || l.wanted == l.acked
}

// pushing pushes the newest spec again and again until the connection ends, and begins to read the reports once the
// manager has taken the first.
func (l *link) pushing(ctx context.Context, client *manager.Client) {
	reading := false
	for {
		l.mu.Lock()
		wanted, acked, news := l.wanted, l.acked, l.news
		l.mu.Unlock()
		if wanted == nil || wanted == acked {
			select {
			case <-news:
				continue
			case <-ctx.Done():
				return
			}
		}
		callCtx, cancel := context.WithTimeout(ctx, 15*time.Second)
		if id := l.w.trace.ID(); id != "" {
			callCtx = wire.WithRequestID(callCtx, id)
		}
		err := client.PutApplication(callCtx, wanted.epoch, wanted.spec)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.w.log.Warn("the manager did not take the spec", daemon.KeyError, err)
			l.refused(ctx, err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
			continue
		}
		l.mu.Lock()
		if ctx.Err() == nil {
			l.acked, l.report.version = wanted, ""
			l.tell()
		}
		l.mu.Unlock()
		if reading {
			l.w.kick()
			continue
		}
		reading = true // the manager's first report wakes the worker
		l.w.d.group.Go(func() { l.reading(ctx, client) })
	}
}

// refused notes that a manager is of a version that does not understand this director.
func (l *link) refused(ctx context.Context, err error) {
	if api.CodeFrom(err) != api.CodeProtocol {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() == nil && l.session != nil {
		l.report.version = fmt.Sprintf("its manager, node %s, runs version %s, which does not understand this director of version %s: %v; give it new machines: cps application stop, then start",
			l.report.node, l.session.Hello().Version, daemon.Version, err)
		l.w.kick()
	}
}

// reading takes in the manager's reports until the connection ends.
func (l *link) reading(ctx context.Context, client *manager.Client) {
	events, reports := l.events, l.reports // beyond them events are dropped, and reports have to wait
	sending := false
	for ctx.Err() == nil {
		for report, err := range client.Stream(ctx, l.epoch(), l.mayName) {
			if err != nil {
				if ctx.Err() == nil {
					l.w.log.Warn("the manager's reports broke off", daemon.KeyError, err)
				}
				break
			}
			if reports.Wait(ctx) != nil {
				break
			}
			bound(&report)
			l.take(ctx, report)
			if len(report.Lacks) > 0 && !sending {
				sending = true // from now on; most managers never lack anything
				l.w.d.group.Go(func() { l.sending(ctx, client) })
			}
			if report.Event != nil && events.Allow() {
				l.w.record(ctx, l.own(*report.Event))
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// epoch is that of the newest spec that the manager has taken: a call of an older one is refused.
func (l *link) epoch() api.Epoch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked == nil {
		return api.Epoch{} // of a connection that has ended
	}
	return l.acked.epoch
}

// take merges one report.
func (l *link) take(ctx context.Context, r api.ManagerReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return // of a connection that has been replaced
	}
	o := &l.report
	l.lack(r.Lacks)
	if o.holds(r) {
		return
	}
	if r.Snapshot {
		*o = observed{node: o.node, since: o.since, version: o.version}
	}
	o.revision, o.settled = r.Revision, r.Settled
	if r.Plan != nil {
		o.plan = r.Plan
	}
	if r.Self != nil {
		o.self = r.Self
	}
	services, health := maps.Clone(o.services), maps.Clone(o.health)
	if services == nil {
		services = make(map[api.ServiceID]api.ServiceStatus)
	}
	if health == nil {
		health = make(map[api.NodeID]api.NodeHealth)
	}
	known := l.known
	for _, s := range r.Services {
		if known.services[s.Service] {
			services[s.Service] = s
		}
	}
	for _, n := range r.Nodes {
		if known.nodes[n.Node] {
			health[n.Node] = n
		}
	}
	o.services, o.health = services, health
	l.w.kick()
}

// told is what a manager has been told of, and may speak of: a faulty one cannot fill the director's memory.
type told struct {
	nodes    map[api.NodeID]bool
	services map[api.ServiceID]bool
}

func newTold(s api.ManagerSpec) told {
	t := told{nodes: make(map[api.NodeID]bool), services: make(map[api.ServiceID]bool)}
	for _, n := range s.Nodes {
		t.nodes[n.ID], t.services[n.Service] = true, true
	}
	for _, s := range s.Application.Services {
		t.services[s.ID] = true
	}
	return t
}

// own makes an event one of the manager's own application: things that it has not been told of are not named.
func (l *link) own(e api.Event) api.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known.nodes[e.Node] {
		e.Node = ""
	}
	if !l.known.services[e.Service] {
		e.Service = 0
	}
	e.Text, e.Kind = cut(e.Text, textMax), cut(e.Kind, nameMax)
	return e
}

// mayName tells whether the manager has been told of a node, or is it.
func (l *link) mayName(id api.NodeID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known.nodes[id] || id == l.report.node
}

// knows waits until the connected manager knows the key of a node.
func (l *link) knows(ctx context.Context, node api.NodeID, key api.OverlayKey) error {
	for {
		l.mu.Lock()
		acked, news := l.acked, l.news
		l.mu.Unlock()
		if acked != nil && slices.ContainsFunc(acked.spec.Nodes, func(n api.NodeInfo) bool { return n.ID == node && n.Key == key }) {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return api.Errorf(api.CodeUnavailable, "the manager of the application is not there yet; try again")
		}
	}
}
