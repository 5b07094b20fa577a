package hosting

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"conpaas/client/api"
	"conpaas/manager/service"
	"conpaas/manager/service/servicetest"
)

// world is a service that answers requests, with a director that keeps the rules of code.
type world struct {
	servicetest.World[*box]
	broken   map[string]bool // versions that do not pass their check
	versions int
	late     bool // the last event was the coming into force of a blind order
}

// box is one machine, and what really runs on it.
type box struct {
	servicetest.Machine
	runs   *order // applied
	up     map[api.Role]bool
	passed map[string]bool
	failed map[string]bool
	works  bool // requests to this proxy get their answers
	blind  int  // how much of Sent was decided before a machine was lost or the manager began anew
}

// order is one configuration.
type order struct {
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
	return &world{broken: map[string]bool{}, World: servicetest.World[*box]{
		Half: half,
		Make: func(m servicetest.Machine) *box {
			return &box{Machine: m, up: map[api.Role]bool{}, passed: map[string]bool{}, failed: map[string]bool{}}
		},
		Words: func(c service.Config) string { return decode(c).String() },
		Roles: (*box).roles,
		Spec: api.ServiceSpec{
			ID: 1, Type: api.PHP, Name: "php", Nodes: map[api.Role]int{api.RoleProxy: 1}, Secrets: map[string]api.Secret{"sessions": "secret"},
			Code: &api.CodeSpec{Wanted: api.CodeDefault, Serving: api.CodeDefault, Versions: []api.CodeBlob{{ID: api.CodeDefault}}},
		},
		Machines: map[api.NodeID]*box{},
	}}
}

// think makes the plan; whatever it is, the first proxy stays.
func (w *world) think() service.Input {
	in := w.Think()
	for _, n := range in.Nodes {
		if n.Role == api.RoleProxy && !n.Draining() {
			if slices.Contains(slices.Concat(w.Plan.Drain, w.Plan.Delete), n.ID) {
				w.Fail("the first proxy %s is to go", n.ID)
			}
			break
		}
	}
	return in
}

func (w *world) push() { w.Send(w.think()) }

func decode(c service.Config) *order {
	o := &order{}
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
	c, ok := b.Take()
	if !ok {
		return
	}
	o := decode(c)
	w.late, b.blind = b.blind > 0, max(b.blind-1, 0)
	if b.serves() && (o.backend == nil || o.backend.Drain) {
		for _, id := range w.IDs() {
			if u := w.Machines[id]; u != b && !u.Dead && u.runs != nil && u.runs.web != nil && slices.Contains(names(u.runs.web.Backends), b.Info.ID) {
				w.Fail("backend %s is ended while %s uses it", b.Info.ID, id)
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
	w.Say("%s applies %s", b.Info.ID, o)
}

func (b *box) serves() bool { return b.runs != nil && b.runs.backend != nil && !b.runs.backend.Drain }

// work has one thing on a machine go on: a version is checked, a role starts, a drained backend ends.
func (w *world) work(b *box) bool {
	if b.Dead || b.runs == nil {
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
			w.Say("%s has checked %s", b.Info.ID, v)
			return true
		}
	}
	for _, r := range slices.Sorted(maps.Keys(b.up)) {
		drain := r == api.RoleBackend && b.runs.backend.Drain
		if b.up[r] == drain {
			b.up[r] = !drain
			w.Say("%s: %s up %v", b.Info.ID, r, !drain)
			return true
		}
	}
	return false
}

// roles is what the agent says.
func (b *box) roles() (all []api.RoleStatus) {
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
			facts.Host = "host-of-" + string(b.Info.ID)
			if b.runs.backend.Drain && !b.up[r] {
				status.State = api.RoleDrained
			} else if b.runs.backend.Drain {
				status.State = api.RoleStarting
			}
		}
		status.Facts, _ = json.Marshal(facts)
		all = append(all, status)
	}
	return all
}
