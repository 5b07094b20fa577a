package hosting

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// world is everything around the plans: a director that carries them out, a manager that passes them on, and machines with
// agents, each of which is as far behind as the test wants.
type world struct {
	spec     api.ServiceSpec
	broken   map[string]bool // versions that do not pass their check
	machines map[api.NodeID]*box
	next     int
	plan     service.Plan
	planned  bool
	pushes   int
	versions int
	late     bool // the last event was the coming into force of a blind order
	err      error
	said     []string
}

// box is one machine: what really runs on it, what was sent to it, and what the manager knows of it.
type box struct {
	info   api.NodeInfo
	dead   bool
	sent   []*order // accepted, in order, not applied yet
	runs   *order   // applied
	up     map[api.Role]bool
	passed map[string]bool
	failed map[string]bool

	connected bool
	serving   bool
	status    *api.NodeStatus
	applied   string
	doubt     bool
	sentLast  string
	works     bool // requests to this proxy get their answers
	blind     int  // how much of sent was decided before a machine was lost or the manager began anew
}

// order is one configuration.
type order struct {
	digest  string
	proxy   *api.HostingProxyConfig
	web     *api.HostingWebConfig
	backend *api.HostingBackendConfig
}

// half is that of a type with simple rules of its own.
var half = Half{Patience: func(settings map[string]string) int {
	seconds, err := strconv.Atoi(settings["max_execution_time"])
	if err != nil {
		panic(err)
	}
	return 10 * seconds
}}

func newWorld() *world {
	return &world{
		spec: api.ServiceSpec{
			ID: 1, Type: api.PHP, Name: "php", Nodes: map[api.Role]int{api.RoleProxy: 1}, Secrets: map[string]api.Secret{"sessions": "secret"},
			Code: &api.CodeSpec{Wanted: api.CodeDefault, Serving: api.CodeDefault, Versions: []api.CodeBlob{{ID: api.CodeDefault}}},
		},
		broken: map[string]bool{}, machines: map[api.NodeID]*box{},
	}
}

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *world) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *world) ids() []api.NodeID {
	return slices.SortedFunc(maps.Keys(w.machines), service.ByAge)
}

func (w *world) input() service.Input {
	in := service.Input{Spec: w.spec}
	for _, id := range w.ids() {
		b := w.machines[id]
		n := service.Node{NodeInfo: b.info, Connected: b.connected, Status: b.status, Serving: b.serving, Sent: b.sentLast, Current: b.status != nil && !b.doubt}
		if !b.doubt {
			n.Applied = b.applied
		}
		in.Nodes = append(in.Nodes, n)
	}
	return in
}

// think makes the plan, and looks whether it is one.
func (w *world) think() service.Input {
	in := w.input()
	w.plan, w.planned = half.Plan(in), true
	if err := service.Check(in, w.plan); err != nil {
		w.fail("%v", err)
	}
	for _, n := range in.Nodes {
		if n.Role == api.RoleProxy && !n.Draining() {
			if slices.Contains(slices.Concat(w.plan.Drain, w.plan.Delete), n.ID) {
				w.fail("the first proxy %s is to go", n.ID)
			}
			break
		}
	}
	return in
}

// push sends what the plan wants to whoever is connected and need not wait for others.
func (w *world) push() {
	in := w.think()
	nodes := map[api.NodeID]service.Node{}
	for _, n := range in.Nodes {
		nodes[n.ID] = n
	}
	for _, n := range in.Nodes {
		c := w.plan.Nodes[n.ID]
		held := slices.ContainsFunc(c.After, func(id api.NodeID) bool { return !in.Ready(nodes[id], w.plan.Nodes[id]) })
		b := w.machines[n.ID]
		o := decode(service.Digest(in.NodeSpec(n, c)), c)
		if !b.connected || b.dead || held || b.last() == o.digest && (b.doubt || b.applied == o.digest) {
			continue
		}
		w.say("send %s: %s", n.ID, o)
		b.sent, b.sentLast = append(b.sent, o), o.digest
		b.doubt = b.doubt || o.digest != b.applied
		w.pushes++
	}
}

func (b *box) last() string {
	if len(b.sent) > 0 {
		return b.sent[len(b.sent)-1].digest
	}
	if b.runs != nil {
		return b.runs.digest
	}
	return ""
}

func decode(digest string, c service.Config) *order {
	o := &order{digest: digest}
	for _, r := range c.Roles {
		var into any
		switch r.Role {
		case api.RoleProxy:
			o.proxy = &api.HostingProxyConfig{}
			into = o.proxy
		case api.RoleWeb:
			o.web = &api.HostingWebConfig{}
			into = o.web
		case api.RoleBackend:
			o.backend = &api.HostingBackendConfig{}
			into = o.backend
		}
		if err := json.Unmarshal(r.Config, into); err != nil {
			panic(err)
		}
	}
	return o
}

func (o *order) String() (s string) {
	if o.proxy != nil {
		s += fmt.Sprintf("proxy %s %v ", o.proxy.Version, names(o.proxy.Webs))
	}
	if o.web != nil {
		s += fmt.Sprintf("web %v %v ", versions(o.web.Versions), names(o.web.Backends))
	}
	if o.backend != nil {
		s += fmt.Sprintf("backend %v", versions(o.backend.Versions))
		if o.backend.Drain {
			s += " drain"
		}
	}
	return s
}

func names(servers []api.Server) (out []api.NodeID) {
	for _, s := range servers {
		out = append(out, s.Node)
	}
	return out
}

func versions(blobs []api.CodeBlob) (out []string) {
	for _, b := range blobs {
		out = append(out, b.ID)
	}
	return out
}

// apply has an agent apply the next thing that it was sent.
func (w *world) apply(b *box) {
	if b.dead || len(b.sent) == 0 {
		return
	}
	o := b.sent[0]
	w.late = b.blind > 0
	b.sent, b.blind = b.sent[1:], max(b.blind-1, 0)
	if b.serves() && (o.backend == nil || o.backend.Drain) {
		for _, id := range w.ids() {
			if u := w.machines[id]; u != b && !u.dead && u.runs != nil && u.runs.web != nil && slices.Contains(names(u.runs.web.Backends), b.info.ID) {
				w.fail("backend %s is ended while %s uses it", b.info.ID, id)
			}
		}
	}
	b.runs = o
	for r, runs := range map[api.Role]bool{api.RoleProxy: o.proxy != nil, api.RoleWeb: o.web != nil, api.RoleBackend: o.backend != nil} {
		if !runs {
			delete(b.up, r)
		} else if _, ok := b.up[r]; !ok {
			b.up[r] = false
		}
	}
	var wanted []api.CodeBlob
	if o.web != nil {
		wanted = o.web.Versions
	}
	if o.backend != nil {
		wanted = append(slices.Clone(wanted), o.backend.Versions...)
	}
	has := func(v string) bool { return slices.Contains(versions(wanted), v) }
	maps.DeleteFunc(b.passed, func(v string, _ bool) bool { return !has(v) })
	maps.DeleteFunc(b.failed, func(v string, _ bool) bool { return !has(v) })
	w.say("%s applies %s", b.info.ID, o)
}

func (b *box) serves() bool { return b.runs != nil && b.runs.backend != nil && !b.runs.backend.Drain }

// work has one thing on a machine go on: a version is checked, a role starts, a drained backend ends.
func (w *world) work(b *box) bool {
	if b.dead || b.runs == nil {
		return false
	}
	var wanted []api.CodeBlob
	if b.runs.web != nil {
		wanted = b.runs.web.Versions
	}
	if b.runs.backend != nil {
		wanted = append(slices.Clone(wanted), b.runs.backend.Versions...)
	}
	for _, v := range versions(wanted) {
		if !b.passed[v] && !b.failed[v] {
			if w.broken[v] {
				b.failed[v] = true
			} else {
				b.passed[v] = true
			}
			w.say("%s has checked %s", b.info.ID, v)
			return true
		}
	}
	for _, r := range slices.Sorted(maps.Keys(b.up)) {
		drain := r == api.RoleBackend && b.runs.backend.Drain
		if b.up[r] == drain {
			b.up[r] = !drain
			w.say("%s: %s up %v", b.info.ID, r, !drain)
			return true
		}
	}
	return false
}

// status is what the agent says.
func (b *box) state() *api.NodeStatus {
	s := &api.NodeStatus{Node: b.info.ID}
	for _, r := range slices.Sorted(maps.Keys(b.up)) {
		status := api.RoleStatus{Role: r, State: api.RoleStarting}
		facts := api.HostingFacts{Checked: map[string]bool{}, Refused: map[string]string{}}
		for v := range b.passed {
			facts.Checked[v] = true
		}
		for v := range b.failed {
			facts.Refused[v] = "broken"
		}
		if b.up[r] {
			status.State = api.RoleReady
		}
		switch r {
		case api.RoleProxy:
			facts = api.HostingFacts{Version: b.runs.proxy.Version, Servers: names(b.runs.proxy.Webs)}
		case api.RoleWeb:
			facts.Servers = names(b.runs.web.Backends)
		case api.RoleBackend:
			facts.Host = "host-of-" + string(b.info.ID)
			if b.runs.backend.Drain && !b.up[r] {
				status.State = api.RoleDrained
			} else if b.runs.backend.Drain {
				status.State = api.RoleStarting
			}
		}
		status.Facts, _ = json.Marshal(facts)
		s.Roles = append(s.Roles, status)
	}
	return s
}

// report brings what an agent says to the manager.
func (w *world) report(b *box) {
	if b.dead || !b.connected {
		return
	}
	b.status, b.applied, b.serving = b.state(), "", false
	for _, r := range b.status.Roles {
		b.serving = b.serving || r.State == api.RoleReady
	}
	if b.runs != nil {
		b.applied = b.runs.digest
	}
	b.doubt = len(b.sent) > 0
}

func (w *world) boot(b *box) {
	if b.info.Key == "" && !b.dead {
		b.info.Key, b.info.State = "key", api.NodeJoined
		w.say("%s has joined", b.info.ID)
	}
}

func (w *world) connect(b *box) {
	if !b.dead && b.info.Key != "" && !b.connected {
		b.connected = true
		w.report(b)
	}
}

// add makes a machine.
func (w *world) add(r api.Role) *box {
	w.next++
	id := api.NodeID(fmt.Sprintf("n%d", w.next))
	w.machines[id] = &box{
		info: api.NodeInfo{ID: id, Service: 1, Role: r, State: api.NodeBooting, Overlay: netip.AddrFrom4([4]byte{10, 0, byte(w.next >> 8), byte(w.next)})},
		up:   map[api.Role]bool{}, passed: map[string]bool{}, failed: map[string]bool{},
	}
	w.say("%s is made for role %s", id, r)
	return w.machines[id]
}
