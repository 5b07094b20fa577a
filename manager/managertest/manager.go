package managertest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"conpaas/client/api"
	"conpaas/client/manager"
	"conpaas/manager/app"
	"conpaas/manager/command"
)

// Manager is a manager that runs in this process, and what it has told its director.
type Manager struct {
	*manager.Client
	Node        api.NodeID
	Application api.ApplicationID
	Root        string         // of its file system
	Listen      netip.AddrPort // for its agents

	d      *Director
	timing app.Timing
	stop   func()

	mu       sync.Mutex
	known    Known // what its stream has said since it began last
	epoch    api.Epoch
	watching func()
}

// Known is the state of a manager put together from its stream.
type Known struct {
	Revision  uint64
	Settled   bool
	Plan      map[api.ServiceID]api.ServicePlan
	Services  map[api.ServiceID]api.ServiceStatus
	Nodes     map[api.NodeID]api.NodeHealth
	Self      *api.NodeStatus
	Lacks     []string // what was said last, if anything
	Events    []api.Event
	Snapshots int
	Lines     int
}

// Timing is that of managers in tests: everything is looked at soon.
func Timing() app.Timing {
	t := app.DefaultTiming()
	t.Tick, t.Retry, t.RetryMax = 20*time.Millisecond, 20*time.Millisecond, 200*time.Millisecond
	return t
}

// StartManager starts a manager of an application on a machine of its own and waits until it is connected.
func (d *Director) StartManager(node api.NodeID, application api.ApplicationID, timing app.Timing) *Manager {
	d.t.Helper()
	m := &Manager{
		Client: d.Client(node), Node: node, Application: application, d: d, timing: timing,
		epoch: api.Epoch{Fence: 1, Incarnation: 1, Revision: 1},
	}
	root, listen := d.expect(node, machine{kind: api.KindManager, application: application, overlay: netip.MustParseAddr("10.79.128.0")})
	m.Root, m.Listen = root, netip.AddrPortFrom(listen, 5556)
	m.Start()
	d.t.Cleanup(m.Stop)
	return m
}

// Start starts the manager's program, again after Stop, and waits until it is connected.
func (m *Manager) Start() {
	m.d.t.Helper()
	m.mu.Lock()
	m.known = Known{}
	m.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- command.Run(ctx, command.Options{Root: m.Root, Stderr: &lines{log: m.d.t.Log}, Level: slog.LevelInfo, Timing: m.timing, Halves: m.d.Halves})
	}()
	m.stop = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			m.d.t.Errorf("manager %s ended: %v", m.Node, err)
		}
	}
	m.d.Await("manager "+string(m.Node)+" is connected", func() bool { return m.d.hub.Connected(string(m.Node)) })
}

// Stop ends the manager's program. What is on its disk stays.
func (m *Manager) Stop() {
	m.Unwatch()
	if m.stop != nil {
		m.stop()
		m.stop = nil
	}
}

// Epoch is that of the calls that helpers make.
func (m *Manager) Epoch() api.Epoch {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch
}

// SetEpoch sets it.
func (m *Manager) SetEpoch(e api.Epoch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch = e
}

// Put tells the manager a spec in the helpers' epoch, whose revision becomes the spec's.
func (m *Manager) Put(spec api.ManagerSpec) {
	m.d.t.Helper()
	e := m.Epoch()
	e.Revision = spec.Application.Revision
	m.SetEpoch(e)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := m.PutApplication(ctx, e, spec); err != nil {
		m.d.t.Fatalf("put the spec of revision %d: %v", e.Revision, err)
	}
}

// Watch reads the manager's stream, again when it breaks, until Unwatch or the end of the manager.
func (m *Manager) Watch() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			m.d.await(ctx, func() bool { return m.d.hub.Connected(string(m.Node)) })
			for report, err := range m.Stream(ctx, m.Epoch(), nil) {
				if err != nil {
					break
				}
				m.note(report)
			}
		}
	}()
	m.watching = func() { cancel(); <-ended }
}

// Unwatch ends Watch.
func (m *Manager) Unwatch() {
	if m.watching != nil {
		m.watching()
		m.watching = nil
	}
}

func (m *Manager) note(r api.ManagerReport) {
	m.mu.Lock()
	k := &m.known
	if r.Snapshot {
		*k = Known{
			Events: k.Events, Snapshots: k.Snapshots + 1, Lines: k.Lines,
			Services: map[api.ServiceID]api.ServiceStatus{}, Nodes: map[api.NodeID]api.NodeHealth{}, Plan: map[api.ServiceID]api.ServicePlan{},
		}
	}
	k.Revision, k.Settled = r.Revision, r.Settled
	k.Lines++
	if r.Plan != nil {
		k.Plan = map[api.ServiceID]api.ServicePlan{}
		for _, p := range r.Plan.Services {
			k.Plan[p.Service] = p
		}
	}
	for _, s := range r.Services {
		k.Services[s.Service] = s
	}
	for _, n := range r.Nodes {
		k.Nodes[n.Node] = n
	}
	if r.Lacks != nil {
		k.Lacks = r.Lacks
	}
	if r.Self != nil {
		k.Self = r.Self
	}
	if r.Event != nil {
		k.Events = append(k.Events, *r.Event)
	}
	m.mu.Unlock()
	m.d.change()
}

// Look gives what the stream has said so far.
func (m *Manager) Look() Known {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known
	k.Services, k.Nodes, k.Plan, k.Events = maps.Clone(k.Services), maps.Clone(k.Nodes), maps.Clone(k.Plan), slices.Clone(k.Events)
	return k
}

// AwaitKnown waits until the stream has said what holds.
func (m *Manager) AwaitKnown(what string, holds func(Known) bool) Known {
	m.d.t.Helper()
	var k Known
	defer func() {
		if m.d.t.Failed() {
			m.d.t.Logf("the manager has said: %+v", k)
		}
	}()
	m.d.Await(what, func() bool { k = m.Look(); return holds(k) })
	return k
}

// AwaitSettled waits until a revision is settled.
func (m *Manager) AwaitSettled(revision uint64) Known {
	m.d.t.Helper()
	return m.AwaitKnown("the spec is settled", func(k Known) bool { return k.Revision == revision && k.Settled })
}

// lines passes a log on to the test.
type lines struct{ log func(...any) }

func (l *lines) Write(p []byte) (int, error) {
	l.log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

var _ io.Writer = (*lines)(nil)

// ReadLog gives the manager's log as it is on its disk.
func (m *Manager) ReadLog() string {
	data, err := os.ReadFile(m.Root + "/var/log/conpaas/manager.log")
	if err != nil {
		m.d.t.Error(err)
	}
	return string(data)
}
