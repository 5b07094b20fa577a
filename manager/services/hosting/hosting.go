// Package hosting is what the manager halves of the types share that run the code of their owners (ServiceKind.Hosting):
// proxies (HAProxy) pass requests to webs (nginx), these pass what is dynamic to backends, which run the programs.
//
// Every plan is one description of where things are to end, in which each step waits for what the machines say of
// themselves: a server is used once it is ready and has checked the code that requests get, a version is given to requests
// once every server has checked it, and a machine is drained once nobody uses it. The package is a pure function of its
// input; everything that touches a machine is in the agent half.
//
// # Packing
//
// Without machines of its own a role runs on the first proxy, which is the oldest one that stays. When a role gets
// machines, the first proxy goes on in it until all of them serve.
//
// # Sessions
//
// The first proxy keeps the sessions. They outlive restarts of it, and do not outlive its machine: when that is lost, the
// oldest of the other proxies, or else the machine that the director makes in its place, becomes the first one, and
// begins with none.
//
// # Silent machines
//
// A server that the manager does not hear is used no longer, at once, when others can do its work, and is used again when
// it is ready again. When most of them fall silent together the fault is rather between them and the manager, and they are
// given the time in which a silent machine counts as serving. Likewise servers that have failed are no longer used unless
// that is most of them.
package hosting

import (
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// TCP ports: of the proxy on every address of its machine, of the others on the overlay address.
const (
	Port         = 80
	webPort      = 8080
	backendPort  = 9000
	sessionsPort = 6379
)

// sessionsSecret is the name of the password of the sessions among the secrets of the service.
const sessionsSecret = "sessions"

// Half plans the services of one type.
type Half struct {
	// Patience gives for how many seconds a program may say nothing, by the settings of the service.
	Patience func(settings map[string]string) int
}

var _ service.Half = Half{}

// Plan gives the next step for a service. Machines that were sent something else than this plan wants of them, and
// have not applied it yet, may be about to lose what they report: nothing new is built on them.
func (h Half) Plan(in service.Input) service.Plan {
	p := h.plan(in, nil)
	wavering := make(map[api.NodeID]bool)
	for _, n := range in.Nodes {
		if !n.Current && n.Status != nil && n.Sent != service.Digest(in.NodeSpec(n, p.Nodes[n.ID])) {
			wavering[n.ID] = true
		}
	}
	if len(wavering) == 0 {
		return p
	}
	return h.plan(in, wavering)
}

func (h Half) plan(in service.Input, wavering map[api.NodeID]bool) service.Plan {
	f := newFleet(in, wavering)
	f.patience = h.Patience(f.settings())
	f.chooseVersion()
	f.chooseServers()
	p := service.Plan{
		Wanted: map[api.Role]int{},
		Nodes:  make(map[api.NodeID]service.Config, len(in.Nodes)),
		Code:   f.codeStatus(),
	}
	for _, r := range []api.Role{api.RoleProxy, api.RoleWeb, api.RoleBackend} {
		p.Wanted[r] = in.Spec.Nodes[r]
	}
	for _, m := range f.machines {
		f.place(&p, m)
	}
	for _, m := range f.proxies.stay {
		if m.Serving && (!m.Connected || m.part(api.RoleProxy).state == api.RoleReady) {
			p.Endpoints = append(p.Endpoints, api.Endpoint{Name: "http", Node: m.ID, Port: Port})
			p.Serve = append(p.Serve, m.ID)
		}
	}
	if len(p.Serve) == 0 && f.first != nil && f.first.Joined() {
		p.Serve = []api.NodeID{f.first.ID}
	}
	f.judge(&p)
	return p
}

// place says what one machine is to be. One that goes keeps its work until the director has recorded that it goes and
// nobody uses it any more.
func (f *fleet) place(p *service.Plan, m *machine) {
	if slices.Contains(f.group(m.Role).stay, m) {
		p.Nodes[m.ID] = f.config(m)
		return
	}
	rest := f.idleConfig(m)
	if !m.Joined() || m.Draining() && !f.used(m) {
		p.Nodes[m.ID] = rest
		if f.in.Gone(m.Node, rest) {
			p.Delete = append(p.Delete, m.ID)
			return
		}
	} else {
		p.Nodes[m.ID] = f.config(m)
	}
	p.Drain = append(p.Drain, m.ID)
}
