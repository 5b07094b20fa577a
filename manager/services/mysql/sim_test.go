package mysql

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// world is everything around the plans: a director that carries them out, a manager that passes them on, and machines with
// agents and databases, each of which is as far behind as the test wants.
type world struct {
	spec     api.ServiceSpec
	machines map[api.NodeID]*box
	next     int
	history  int
	plan     service.Plan
	pushes   int
	err      error
	said     []string
}

// box is one machine: what really runs on it, what was sent to it, and what the manager knows of it.
type box struct {
	info      api.NodeInfo
	dead      bool
	sent      []*order // accepted, in order, not applied yet
	runs      *order   // applied
	connected bool
	status    *api.NodeStatus
	applied   string
	doubt     bool
	sentLast  string
	database
}

// order is one configuration.
type order struct {
	digest string
	server *api.MySQLConfig
	proxy  *api.MySQLProxyConfig
}

func newWorld() *world {
	return &world{
		spec:     api.ServiceSpec{ID: 1, Type: api.MySQL, Name: "db", Nodes: map[api.Role]int{api.RoleMySQL: 1}, Secrets: map[string]api.Secret{"password": "secret"}},
		machines: map[api.NodeID]*box{},
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

func (w *world) ids() []api.NodeID { return slices.SortedFunc(maps.Keys(w.machines), service.ByAge) }

// living are the machines that are not dead, oldest first.
func (w *world) living() (out []*box) {
	for _, id := range w.ids() {
		if b := w.machines[id]; !b.dead {
			out = append(out, b)
		}
	}
	return out
}

func (w *world) input() service.Input {
	in := service.Input{Spec: w.spec}
	for _, id := range w.ids() {
		b := w.machines[id]
		n := service.Node{NodeInfo: b.info, Connected: b.connected && b.status != nil, Status: b.status, Sent: b.sentLast, Current: b.status != nil && !b.doubt}
		if b.status != nil && b.connected {
			n.Serving = slices.ContainsFunc(b.status.Roles, func(r api.RoleStatus) bool { return r.State == api.RoleReady })
		}
		if !b.doubt {
			n.Applied = b.applied
		}
		in.Nodes = append(in.Nodes, n)
	}
	return in
}

// push makes the plan and sends what it wants to whoever is connected and need not wait for others.
func (w *world) push() {
	in := w.input()
	w.plan = Half{}.Plan(in)
	if err := service.Check(in, w.plan); err != nil {
		w.fail("%v", err)
		return
	}
	nodes := map[api.NodeID]service.Node{}
	for _, n := range in.Nodes {
		nodes[n.ID] = n
	}
	for _, n := range in.Nodes {
		c, b := w.plan.Nodes[n.ID], w.machines[n.ID]
		o := decode(service.Digest(in.NodeSpec(n, c)), c)
		held := slices.ContainsFunc(c.After, func(id api.NodeID) bool { return !in.Ready(nodes[id], w.plan.Nodes[id]) })
		if !b.connected || b.dead || b.status == nil || held || b.last() == o.digest && (b.doubt || b.applied == o.digest) {
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
		if r.Role == api.RoleMySQL {
			o.server = &api.MySQLConfig{}
			into = o.server
		} else {
			o.proxy = &api.MySQLProxyConfig{}
			into = o.proxy
		}
		if err := json.Unmarshal(r.Config, into); err != nil {
			panic(err)
		}
	}
	return o
}

func (o *order) String() (s string) {
	if o.server != nil {
		s += fmt.Sprintf("mysql start %t bootstrap %d from %q members %d ", o.server.Start, o.server.Bootstrap, o.server.From, len(o.server.Members))
	}
	if o.proxy != nil {
		s += "glb"
		for _, server := range o.proxy.Servers {
			s += " " + string(server.Node)
		}
	}
	return s
}

// report brings what an agent says to the manager.
func (w *world) report(b *box) {
	if b.dead || !b.connected {
		return
	}
	b.status, b.applied = &api.NodeStatus{Node: b.info.ID}, ""
	if b.runs != nil {
		b.applied = b.runs.digest
	}
	b.doubt = len(b.sent) > 0
	state := func(r api.Role, has, ready bool, facts any) {
		s := api.RoleStatus{Role: r, State: api.RoleDrained}
		if has {
			s.State = api.RoleStarting
		}
		if has && ready {
			s.State = api.RoleReady
		}
		s.Facts, _ = json.Marshal(facts)
		b.status.Roles = append(b.status.Roles, s)
	}
	if b.runs == nil {
		return
	}
	if b.primary() { // before it says so
		b.view.counts[b] = true
	}
	var facts any = struct{}{}
	if b.runs.server != nil {
		facts = w.facts(b)
	}
	state(api.RoleMySQL, b.runs.server != nil, b.primary(), facts)
	state(api.RoleGLB, b.runs.proxy != nil, true, struct{}{})
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

// direct carries out what the plan wants of machines.
func (w *world) direct() {
	have := map[api.Role]int{}
	for id, b := range w.machines {
		if slices.Contains(w.plan.Delete, id) {
			w.say("%s is removed", id)
			w.end(b)
			delete(w.machines, id)
			continue
		}
		if slices.Contains(w.plan.Drain, id) {
			b.info.State = api.NodeDraining
		}
		if b.info.State != api.NodeDraining {
			have[b.info.Role]++
		}
	}
	for _, r := range []api.Role{api.RoleMySQL, api.RoleGLB} {
		for range w.plan.Wanted[r] - have[r] {
			w.add(r)
		}
	}
	w.plan.Delete, w.plan.Drain, w.plan.Wanted = nil, nil, nil // it is done
}

// add makes a machine.
func (w *world) add(r api.Role) {
	w.next++
	id := api.NodeID(fmt.Sprintf("n%d", w.next))
	w.machines[id] = &box{info: api.NodeInfo{ID: id, Service: 1, Role: r, State: api.NodeBooting, Overlay: netip.AddrFrom4([4]byte{10, 0, byte(w.next >> 8), byte(w.next)})}}
	w.say("%s is made for role %s", id, r)
}

// quiet lets everything happen that is to happen when nothing goes wrong any more.
func (w *world) quiet() {
	for _, b := range w.living() {
		b.alone = false
	}
	for range 60 {
		for _, id := range w.ids() {
			if b := w.machines[id]; b.dead {
				delete(w.machines, id)
			}
		}
		for _, b := range w.living() {
			w.boot(b)
			w.connect(b)
		}
		w.push()
		for _, b := range w.living() {
			for len(b.sent) > 0 {
				w.apply(b, false)
			}
			w.launch(b)
		}
		w.gather()
		for _, b := range w.living() {
			w.report(b)
		}
		w.direct()
	}
}

// done tells what is not as it should be when all is quiet.
func (w *world) done() error {
	if w.err != nil {
		return w.err
	}
	count := map[api.Role]int{}
	for _, b := range w.living() {
		count[b.info.Role]++
		if b.info.Role == api.RoleMySQL && !b.primary() {
			return fmt.Errorf("the database of %s is not at work: %+v", b.info.ID, b.database)
		}
	}
	if count[api.RoleMySQL] != w.spec.Nodes[api.RoleMySQL] || count[api.RoleGLB] != w.spec.Nodes[api.RoleGLB] || w.plan.State != api.StateRunning {
		return fmt.Errorf("there are %v machines, %v are wanted; the service is %s: %s", count, w.spec.Nodes, w.plan.State, w.plan.Reason)
	}
	want := w.spec.Nodes[api.RoleGLB]
	if want == 0 {
		want = w.spec.Nodes[api.RoleMySQL]
	}
	if len(w.plan.Serve) != want {
		return fmt.Errorf("%v take connections, want %d", w.plan.Serve, want)
	}
	return nil
}
