package hosting

import (
	"cmp"
	"encoding/json"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// machine is one machine of the service with what its agent says of its roles.
type machine struct {
	service.Node
	parts    map[api.Role]part
	wavering bool // see Half.Plan
}

// part is what an agent has said last of one role. state is "" where it has said nothing.
type part struct {
	state api.RoleState
	facts api.HostingFacts
	uses  map[api.NodeID]bool // facts.Servers
}

func (m *machine) part(r api.Role) part { return m.parts[r] }

// checked tells whether the role can use all of these versions.
func (p part) checked(versions []string) bool {
	return !slices.ContainsFunc(versions, func(v string) bool { return !p.facts.Checked[v] })
}

// fit tells whether the machine is heard and ready in a role with all of these versions.
func (m *machine) fit(r api.Role, versions []string) bool {
	p := m.part(r)
	return m.Connected && p.state == api.RoleReady && p.checked(versions)
}

// presumed tells whether nothing is known of a machine that should be at work, since the manager has only begun.
func (m *machine) presumed() bool { return !m.Connected && m.Status == nil && m.Serving }

// silent tells whether a machine is not heard that was ready in a role with all of these versions.
func (m *machine) silent(r api.Role, versions []string) bool {
	p := m.part(r)
	return !m.Connected && p.state == api.RoleReady && p.checked(versions)
}

// group are the machines that were made for one role, oldest first.
type group struct {
	stay, leave []*machine
}

// fleet is all machines of the service, and what the plan makes of them.
type fleet struct {
	in                     service.Input
	machines               []*machine
	byID                   map[api.NodeID]*machine
	proxies, webs, servers group
	first                  *machine // the oldest proxy that stays; nil where there is none
	patience               int      // for how many seconds a program may say nothing

	code     api.CodeSpec // with all members set
	versions []api.CodeBlob
	begun    bool     // some proxy gives requests the wanted version
	refused  string   // why a machine has refused the wanted version, "" when none has
	serve    string   // the version that requests are to get now
	live     []string // versions that requests get, or are to get now
	need     []string // versions that a server must have checked before it is used: live, and what may be under way

	judged   map[string]bool           // what goodWeb has found out
	upstream map[api.NodeID][]*machine // of each web: the backends that it is to use
	webList  map[api.NodeID][]*machine // of each proxy: the webs that it is to use
}

func newFleet(in service.Input, wavering map[api.NodeID]bool) *fleet {
	f := &fleet{in: in, byID: make(map[api.NodeID]*machine, len(in.Nodes))}
	for _, n := range in.Nodes {
		m := &machine{Node: n, parts: map[api.Role]part{}, wavering: wavering[n.ID]}
		if n.Status != nil {
			for _, s := range n.Status.Roles {
				p := part{state: s.State}
				if json.Unmarshal(s.Facts, &p.facts) != nil { // none, or not those of this type: nothing is known
					p.facts = api.HostingFacts{}
				}
				p.uses = make(map[api.NodeID]bool, len(p.facts.Servers))
				for _, id := range p.facts.Servers {
					p.uses[id] = true
				}
				m.parts[s.Role] = p
			}
		}
		f.machines = append(f.machines, m)
		f.byID[n.ID] = m
	}
	f.proxies, f.webs, f.servers = f.divide(api.RoleProxy), f.divide(api.RoleWeb), f.divide(api.RoleBackend)
	if len(f.proxies.stay) > 0 {
		f.first = f.proxies.stay[0]
	}
	f.code = completeCode(in.Spec.Code)
	f.versions = f.code.Versions
	return f
}

func (f *fleet) divide(r api.Role) (g group) {
	stay, leave := service.Select(f.in.Nodes, r, f.in.Spec.Nodes[r])
	for _, n := range stay {
		g.stay = append(g.stay, f.byID[n.ID])
	}
	for _, n := range leave {
		g.leave = append(g.leave, f.byID[n.ID])
	}
	return g
}

// group gives the machines that were made for a role; there are none for a role that the type has not.
func (f *fleet) group(r api.Role) group {
	switch r {
	case api.RoleProxy:
		return f.proxies
	case api.RoleWeb:
		return f.webs
	case api.RoleBackend:
		return f.servers
	}
	return group{}
}

// packed tells whether the first proxy is to do the work of a role.
func (f *fleet) packed(r api.Role) bool { return f.in.Spec.Nodes[r] == 0 }

// crew gives the machines that are to do the work of role web or backend, and the others that may still do it.
func (f *fleet) crew(r api.Role) (own, others []*machine) {
	g := f.group(r)
	var first []*machine
	if f.first != nil {
		first = []*machine{f.first}
	}
	if f.packed(r) {
		return first, g.leave
	}
	return g.stay, slices.Concat(g.leave, first)
}

// all gives the machines that may do the work of role web or backend.
func (f *fleet) all(r api.Role) []*machine {
	own, others := f.crew(r)
	return slices.Concat(own, others)
}

// runs tells whether a machine may be doing the work of a role now: it has said so, or something that it was sent and
// has not applied yet may say so.
func (m *machine) runs(r api.Role) bool {
	p := m.part(r)
	switch {
	case !m.Joined():
		return false
	case p.state != "" && p.state != api.RoleDrained:
		return true
	}
	return !m.Current
}

// mayUse tells whether a machine may be using a server by the configuration of a role that it runs now or was sent. Its
// own server it stops using no later than it gets a configuration without it.
func (m *machine) mayUse(r api.Role, server *machine) bool {
	if !m.runs(r) {
		return false
	}
	if m.part(r).uses[server.ID] {
		return true
	}
	return m != server && !m.Current
}

// used tells whether somebody uses, or is to use, a machine in the role that it was made for.
func (f *fleet) used(m *machine) bool {
	switch m.Role {
	case api.RoleWeb:
		return f.usedWeb(m)
	case api.RoleBackend:
		return f.usedBackend(m)
	}
	return false
}

func (f *fleet) usedWeb(m *machine) bool {
	return usedBy(f.first, f.webList, slices.Concat(f.proxies.stay, f.proxies.leave), api.RoleProxy, m, m.part(api.RoleWeb))
}

func (f *fleet) usedBackend(m *machine) bool {
	return usedBy(f.first, f.upstream, f.all(api.RoleWeb), api.RoleWeb, m, m.part(api.RoleBackend))
}

// usedBy tells whether one of the users uses a server. One that is drained, or the first proxy without the role, was so when
// nobody used it, and has got into no list since: what is under way does not concern it.
func usedBy(first *machine, lists map[api.NodeID][]*machine, users []*machine, r api.Role, server *machine, p part) bool {
	idle := server.Current && (p.state == api.RoleDrained || p.state == "" && server == first)
	return slices.ContainsFunc(users, func(u *machine) bool {
		if slices.Contains(lists[u.ID], server) {
			return true
		}
		if idle && !u.part(r).uses[server.ID] {
			return false
		}
		return u.mayUse(r, server)
	})
}

func byAge(a, b *machine) int { return cmp.Or(service.ByAge(a.ID, b.ID), 0) }
