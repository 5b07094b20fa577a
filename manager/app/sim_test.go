package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"conpaas/client/api"
	"conpaas/manager/service"
	"conpaas/manager/services"
)

// world is everything around a core: a director that carries plans out, machines with agents, and time.
type world struct {
	now      time.Time
	core     *core
	epoch    api.Epoch
	network  api.Network
	services map[api.ServiceID]*api.ServiceSpec
	machines map[api.NodeID]*machine
	next     int    // number of the next node
	session  uint64 // number of the last connection
	calls    []call // under way
	last     decision
	puts     int // specs that agents were sent
	trust    string
	err      error
}

// machine is one machine of the world, with what its agent has.
type machine struct {
	info     api.NodeInfo
	dead     bool // the machine is lost, the director does not know yet
	session  uint64
	told     bool          // the manager has heard the status of this connection
	spec     *api.NodeSpec // accepted, peers merged
	applied  *api.NodeSpec
	broken   bool   // the roles fail
	failed   string // Sum of the start-up script that has failed
	nameless bool   // its agent is of a version without names
	trust    string
}

func newWorld() *world {
	w := &world{
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), epoch: api.Epoch{Fence: 1, Incarnation: 1, Revision: 1},
		network:  api.Network{Prefix: netip.MustParsePrefix("10.0.0.0/8"), ServiceBits: 4, Port: 51820},
		services: map[api.ServiceID]*api.ServiceSpec{}, machines: map[api.NodeID]*machine{},
	}
	w.newManager()
	return w
}

// newManager replaces the manager by one that knows nothing.
func (w *world) newManager() {
	w.core = newCore(services.Halves(), DefaultTiming())
	w.calls = nil
	w.epoch.Incarnation++
	for _, m := range w.machines {
		m.session = 0
	}
}

func (w *world) spec() api.ManagerSpec {
	s := api.ManagerSpec{Application: api.ApplicationSpec{ID: 1, Name: "a", Revision: w.epoch.Revision, Network: w.network}, Trust: w.trust}
	for _, id := range slices.Sorted(maps.Keys(w.services)) {
		s.Application.Services = append(s.Application.Services, *w.services[id])
	}
	for _, id := range slices.SortedFunc(maps.Keys(w.machines), service.ByAge) {
		s.Nodes = append(s.Nodes, w.machines[id].info)
	}
	return s
}

// tell has the director push what it knows, and cuts what the manager wants cut.
func (w *world) tell() {
	for _, id := range w.core.learn(w.now, w.epoch, w.spec()) {
		w.drop(w.machines[id])
	}
}

func (w *world) drop(m *machine) {
	if m != nil && m.session != 0 {
		w.core.disconnected(w.now, m.info.ID, m.session)
		m.session = 0
	}
}

// direct is one round of the director: it obeys the last plan as far as its rules allow, and finds what is wrong with it.
func (w *world) direct() {
	plan := w.last.state.Plan
	if plan == nil || plan.Revision != w.epoch.Revision {
		w.tell()
		return
	}
	for _, s := range plan.Services {
		w.obey(s)
	}
	w.tell()
}

func (w *world) obey(s api.ServicePlan) {
	leaving := map[api.NodeID]bool{}
	for _, id := range slices.Concat(s.Drain, s.Delete) {
		leaving[id] = true
	}
	for _, id := range s.Drain {
		if m := w.machines[id]; m != nil && admitted(m.info.State) {
			m.info.State = api.NodeDraining
		}
	}
	for _, id := range s.Delete {
		if m := w.machines[id]; m != nil && admitted(m.info.State) {
			if m.busy() {
				w.fail("node %s is to be deleted while it works", id)
			}
			m.info.State = api.NodeDeleting
		}
	}
	have := map[api.Role]int{}
	for id, m := range w.machines {
		if m.info.Service == s.Service && admitted(m.info.State) && !leaving[id] {
			have[m.info.Role]++
		}
	}
	spec := w.services[s.Service]
	for role, want := range s.Wanted {
		if spec == nil || want != spec.Nodes[role] {
			w.fail("service %d wants %d machines of role %s, the spec says otherwise", s.Service, want, role)
		}
		for ; have[role] < want; have[role]++ {
			w.create(s.Service, role)
		}
	}
}

// busy tells whether the machine does work that its end would break.
func (m *machine) busy() bool {
	return !m.dead && m.applied != nil && len(m.applied.Roles) > 0 && !drained(*m.applied)
}

func (w *world) create(s api.ServiceID, role api.Role) {
	w.next++
	id := api.NodeID(fmt.Sprintf("n%d", w.next))
	w.machines[id] = &machine{info: api.NodeInfo{
		ID: id, Service: s, Role: role, State: api.NodeBooting,
		Overlay: netip.AddrFrom4([4]byte{10, byte(s), byte(w.next >> 8), byte(w.next)}), Endpoint: netip.MustParseAddrPort("192.0.2.1:51820"),
	}}
}

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// step lets the core decide, and remembers the calls that it makes.
func (w *world) step() {
	w.last = w.core.step(w.now)
	for _, c := range w.last.calls {
		if slices.ContainsFunc(w.calls, func(o call) bool { return o.node == c.node && o.session == c.session }) {
			w.fail("two calls to node %s at one time", c.node)
		}
		if c.spec != nil {
			w.puts++
		}
		w.calls = append(w.calls, c)
	}
	if again := w.core.step(w.now); len(again.calls) > 0 {
		w.fail("a second look makes the same calls again")
	}
}

// luck says how far a call gets.
type luck int

const (
	lucky      luck = iota
	lostCall        // the agent never hears of it
	lostAnswer      // the manager never hears what came of it
)

// deliver brings one call to its agent and the answer back.
func (w *world) deliver(i int, l luck) {
	c := w.calls[i]
	w.calls = slices.Delete(w.calls, i, i+1)
	m := w.machines[c.node]
	var err error
	switch {
	case m == nil || m.dead || m.session != c.session || l == lostCall:
		err = api.Errorf(api.CodeUnavailable, "not delivered")
	case c.spec != nil:
		m.spec = c.spec
	case c.trust != "":
		m.trust = c.trust
	case c.names != nil && m.nameless:
		err = api.Errorf(api.CodeNotFound, "nothing at /v1/names")
	case c.names != nil && m.spec != nil:
		next := *m.spec
		next.Names = c.names.Names
		m.spec = &next
	case c.names != nil:
		err = api.Errorf(api.CodeConflict, "no spec")
	case m.spec == nil || m.spec.Overlay.Version != c.delta.From:
		err = api.Errorf(api.CodeConflict, "other version")
	default:
		m.patch(*c.delta)
	}
	if l == lostAnswer {
		err = api.Errorf(api.CodeTimeout, "no answer")
	}
	w.core.called(w.now, c, err)
}

func (m *machine) patch(d api.PeerDelta) {
	peers := map[api.NodeID]api.Peer{}
	for _, p := range m.spec.Overlay.Peers {
		peers[p.Node] = p
	}
	for _, p := range d.Set {
		peers[p.Node] = p
	}
	for _, id := range d.Remove {
		delete(peers, id)
	}
	next := *m.spec
	next.Overlay.Peers, next.Overlay.Version = slices.Collect(maps.Values(peers)), d.To
	m.spec = &next
}

// report has a connected agent apply what it has and say so.
func (w *world) report(m *machine) {
	if m.session == 0 || m.dead {
		return
	}
	if m.spec != nil {
		m.applied = m.spec
	}
	w.core.reported(m.info.ID, m.session, m.status())
	m.told = true
}

func (m *machine) status() *api.NodeStatus {
	s := &api.NodeStatus{Node: m.info.ID, BootID: "b", Trust: m.trust}
	if m.applied != nil && !m.nameless {
		s.Names = api.SumNames(m.applied.Names)
	}
	if m.failed != "" {
		s.Startup, s.Error = m.failed, "the script has failed"
		return s
	}
	if m.applied == nil {
		return s
	}
	s.Applied = m.applied.Revision
	s.Fingerprint, _ = m.applied.Fingerprint()
	for _, r := range m.applied.Roles {
		status := api.RoleStatus{Role: r.Role, State: api.RoleReady}
		switch {
		case drained(*m.applied):
			status.State = api.RoleDrained
		case m.broken:
			status.State, status.Reason = api.RoleFailed, "it does not start"
		}
		s.Roles = append(s.Roles, status)
	}
	return s
}

func drained(s api.NodeSpec) bool {
	for _, r := range s.Roles {
		var c api.HelloworldConfig
		if err := json.Unmarshal(r.Config, &c); err != nil || !c.Drain {
			return false
		}
	}
	return true
}

// connect has a machine's agent connect, after it has joined.
func (w *world) connect(m *machine) {
	if m.dead || !admitted(m.info.State) || m.info.Key == "" {
		return
	}
	w.drop(m)
	w.session++
	if w.core.connected(w.now, m.info.ID, w.session) {
		m.session = w.session
	}
}

// boot lets a machine join.
func (w *world) boot(m *machine) {
	if m.info.State == api.NodeBooting && !m.dead {
		m.info.State, m.info.Key = api.NodeJoined, api.OverlayKey("key of "+string(m.info.ID))
		w.tell()
	}
}

// quiet lets everything work well until nothing changes any more.
func (w *world) quiet() {
	for range 60 {
		w.now = w.now.Add(time.Second)
		for id, m := range w.machines {
			m.broken = false
			switch {
			case m.info.State == api.NodeDeleting || m.info.State == api.NodeFailed:
				w.drop(m)
				delete(w.machines, id)
			case m.dead:
				w.drop(m)
				m.info.State = api.NodeFailed
			}
		}
		w.round()
	}
}

// round is one in which whoever lives does what is to be done.
func (w *world) round() {
	w.direct()
	for _, id := range slices.SortedFunc(maps.Keys(w.machines), service.ByAge) {
		m := w.machines[id]
		w.boot(m)
		if m.session == 0 {
			w.connect(m)
		}
		w.report(m)
	}
	w.step()
	for len(w.calls) > 0 {
		w.deliver(0, lucky)
	}
	for _, id := range slices.SortedFunc(maps.Keys(w.machines), service.ByAge) {
		w.report(w.machines[id])
	}
	w.step()
}
