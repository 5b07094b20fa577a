package mysql

import (
	"encoding/json"
	"fmt"

	"conpaas/client/api"
	"conpaas/manager/service"
	"conpaas/manager/service/servicetest"
)

// world is a service whose machines have databases.
type world struct {
	servicetest.World[*box]
	history int
	volumes []database // of lost machines, for those in their place
}

// box is one machine, and what really runs on it.
type box struct {
	servicetest.Machine
	runs *order // applied
	database
}

// order is one configuration.
type order struct {
	server *api.MySQLConfig
	proxy  *api.MySQLProxyConfig
}

func newWorld() *world {
	w := &world{World: servicetest.World[*box]{
		Half:     Half{},
		Words:    func(c service.Config) string { return decode(c).String() },
		Spec:     api.ServiceSpec{ID: 1, Type: api.MySQL, Name: "db", Nodes: map[api.Role]int{api.RoleMySQL: 1}, Secrets: map[string]api.Secret{"password": "secret"}},
		Machines: map[api.NodeID]*box{},
	}}
	w.Roles, w.Make = w.roles, w.make
	return w
}

func (w *world) make(m servicetest.Machine) *box {
	b := &box{Machine: m}
	if m.Info.Role == api.RoleMySQL && len(w.volumes) > 0 {
		found := w.volumes[0]
		w.volumes = w.volumes[1:]
		b.history, b.changes, b.bootstraps = found.history, found.changes, found.bootstraps
		w.Say("%s has a volume with %s", m.Info.ID, b.position())
	}
	return b
}

func (w *world) push() { w.Send(w.Think()) }

func decode(c service.Config) *order {
	o := &order{}
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
		s += fmt.Sprintf("mysql start %t halt %t bootstrap %d from %q members %d ", o.server.Start, o.server.Halt, o.server.Bootstrap, o.server.From, len(o.server.Members))
	}
	if o.proxy != nil {
		s += "glb"
		for _, server := range o.proxy.Servers {
			s += " " + string(server.Node)
		}
	}
	return s
}

// roles is what an agent says.
func (w *world) roles(b *box) []api.RoleStatus {
	if b.runs == nil {
		return nil
	}
	if b.primary() { // before it says so
		b.view.counts[b] = true
	}
	status := func(r api.Role, has, ready bool, facts any) api.RoleStatus {
		s := api.RoleStatus{Role: r, State: api.RoleDrained}
		if has {
			s.State = api.RoleStarting
		}
		if has && ready {
			s.State = api.RoleReady
		}
		s.Facts, _ = json.Marshal(facts)
		return s
	}
	var facts any = struct{}{}
	if b.runs.server != nil {
		facts = w.facts(b)
	}
	return []api.RoleStatus{
		status(api.RoleMySQL, b.runs.server != nil, b.primary(), facts),
		status(api.RoleGLB, b.runs.proxy != nil, true, struct{}{}),
	}
}

// direct carries out what the plan wants of machines.
func (w *world) direct() {
	for _, id := range w.Plan.Delete {
		if b := w.Machines[id]; b != nil {
			w.end(b)
		}
	}
	w.Direct(api.RoleMySQL, api.RoleGLB)
}

// quiet lets everything happen that is to happen when nothing goes wrong any more.
func (w *world) quiet() {
	for _, b := range w.Living() {
		b.alone = false
	}
	for range 60 {
		for _, id := range w.IDs() {
			w.GiveUp(w.Machines[id])
		}
		for _, b := range w.Living() {
			w.Boot(b)
			w.Connect(b)
		}
		w.push()
		for _, b := range w.Living() {
			for len(b.Sent) > 0 {
				w.apply(b, false)
			}
			w.launch(b)
		}
		w.gather()
		for _, b := range w.Living() {
			w.Report(b)
		}
		w.direct()
	}
}

// done tells what is not as it should be when all is quiet.
func (w *world) done() error {
	if w.Err != nil {
		return w.Err
	}
	count := map[api.Role]int{}
	for _, b := range w.Living() {
		count[b.Info.Role]++
		if b.Info.Role == api.RoleMySQL && !b.primary() {
			return fmt.Errorf("the database of %s is not at work: %+v", b.Info.ID, b.database)
		}
	}
	if count[api.RoleMySQL] != w.Spec.Nodes[api.RoleMySQL] || count[api.RoleGLB] != w.Spec.Nodes[api.RoleGLB] || w.Plan.State != api.StateRunning {
		return fmt.Errorf("there are %v machines, %v are wanted; the service is %s: %s", count, w.Spec.Nodes, w.Plan.State, w.Plan.Reason)
	}
	want := w.Spec.Nodes[api.RoleGLB]
	if want == 0 {
		want = w.Spec.Nodes[api.RoleMySQL]
	}
	if len(w.Plan.Serve) != want {
		return fmt.Errorf("%v take connections, want %d", w.Plan.Serve, want)
	}
	return nil
}
