package mysql

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// machine is one machine of the service with what its agent says of it.
type machine struct {
	service.Node
	server, proxy api.RoleState // "" where nothing is said
	facts         api.MySQLFacts
}

// works tells whether the machine says that its database is in a cluster that takes changes, and has all the data.
func (m *machine) works() bool { return m.Connected && m.server == api.RoleReady && m.facts.Primary }

// started tells whether its server was ever told to run.
func (m *machine) started() bool {
	return m.facts.State != "" && m.facts.State != api.MySQLStateStopped
}

// answers tells whether its server has been in the cluster since it was started.
func (m *machine) answers() bool {
	return m.started() && m.facts.State != api.MySQLStateStarting && m.facts.State != api.MySQLStateBeginning
}

// group are the machines that were made for one role, oldest first.
type group struct {
	stay, leave []*machine
}

// fleet is all machines of the service, and what the plan makes of them.
type fleet struct {
	in               service.Input
	servers, proxies group
	members          []*machine // all that have a database, those that go as well

	beginner   *machine   // begins the cluster; nil where none does
	strays     []*machine // are ended before it does
	blocked    string     // why no cluster can be begun though there is none
	next       *machine   // joins now; nil for none
	unfinished bool
}

func newFleet(in service.Input) *fleet {
	f := &fleet{in: in}
	byID := make(map[api.NodeID]*machine, len(in.Nodes))
	for _, n := range in.Nodes {
		m := &machine{Node: n}
		if s, ok := n.RoleStatus(api.RoleMySQL); ok {
			m.server = s.State
			if json.Unmarshal(s.Facts, &m.facts) != nil { // none, or not those of this type: nothing is known
				m.facts = api.MySQLFacts{}
			}
		}
		if s, ok := n.RoleStatus(api.RoleGLB); ok {
			m.proxy = s.State
		}
		byID[n.ID] = m
	}
	divide := func(r api.Role) (g group) {
		stay, leave := service.Select(in.Nodes, r, in.Spec.Nodes[r])
		for _, n := range stay {
			g.stay = append(g.stay, byID[n.ID])
		}
		for _, n := range leave {
			g.leave = append(g.leave, byID[n.ID])
		}
		return g
	}
	f.servers, f.proxies = divide(api.RoleMySQL), divide(api.RoleGLB)
	f.members = choose(slices.Concat(f.servers.stay, f.servers.leave), func(m *machine) bool { return m.Joined() })
	f.chooseBeginner()
	f.chooseNext()
	return f
}

func choose(from []*machine, may func(*machine) bool) (out []*machine) {
	for _, m := range from {
		if may(m) {
			out = append(out, m)
		}
	}
	return out
}

// chooseNext has one machine after another join, as long as for each that is on its way there is one that has the data.
func (f *fleet) chooseNext() {
	working := choose(f.members, (*machine).works)
	coming := choose(f.members, func(m *machine) bool { return m.Connected && m.started() && !m.works() })
	if len(coming) >= len(working) {
		return
	}
	for _, m := range f.servers.stay {
		if m.Connected && !m.started() {
			f.next = m
			return
		}
	}
}

// config is what a machine is to be while it works.
func (f *fleet) config(m *machine) service.Config {
	if m.Role == api.RoleGLB {
		return service.Config{Roles: []api.RoleSpec{f.proxy(m)}}
	}
	c := service.Config{Roles: []api.RoleSpec{f.server(m)}}
	has := m.proxy != "" && m.proxy != api.RoleDrained
	switch {
	case f.replaced() && has:
		f.unfinished = true
	case f.replaced(), !has && !slices.Contains(f.servers.stay, m): // one that goes begins nothing
	default:
		c.Roles = append(c.Roles, f.proxy(m))
	}
	return c
}

// replaced tells whether machines of role glb take the connections, so that the mysql machines need not.
func (f *fleet) replaced() bool {
	return slices.ContainsFunc(f.proxies.stay, func(m *machine) bool { return m.Serving && (!m.Connected || m.proxy == api.RoleReady) })
}

// relieved tells whether others take connections, so that a proxy may go.
func (f *fleet) relieved() bool {
	return slices.ContainsFunc(slices.Concat(f.servers.stay, f.proxies.stay), func(m *machine) bool { return m.Connected && m.proxy == api.RoleReady })
}

func (f *fleet) server(m *machine) api.RoleSpec {
	c := api.MySQLConfig{
		Cluster: cluster(f.in.Spec.ID), Listen: netip.AddrPortFrom(m.Overlay, serverPort), Check: netip.AddrPortFrom(m.Overlay, checkPort),
		Start: (m.started() || m == f.next || m == f.beginner) && !slices.Contains(f.strays, m), Halt: slices.Contains(f.strays, m), Password: f.in.Spec.Secrets[passwordSecret], Settings: f.settings(),
	}
	if m == f.beginner {
		c.Bootstrap, c.From = m.facts.Bootstraps+1, m.facts.Position
	}
	for _, other := range f.members {
		c.Members = append(c.Members, other.Overlay)
	}
	if !m.Joined() {
		c.Members = append(c.Members, m.Overlay)
	}
	slices.SortFunc(c.Members, netip.Addr.Compare)
	return role(api.RoleMySQL, c)
}

// serverSettings are those of the database itself.
var serverSettings = [...]string{"innodb_buffer_pool_size", "max_connections", "max_allowed_packet", "slow_query_log", "long_query_time"}

func (f *fleet) settings() map[string]string {
	all := make(map[string]string, len(serverSettings))
	for _, name := range serverSettings {
		all[name] = f.in.Setting(name)
	}
	return all
}

func (f *fleet) proxy(m *machine) api.RoleSpec {
	c := api.MySQLProxyConfig{Listen: netip.AddrPortFrom(m.Overlay, api.MySQLPort), Check: checkPort, Spread: f.in.Setting("spread") == api.SwitchOn}
	for _, s := range f.listed() {
		c.Servers = append(c.Servers, api.Server{Node: s.ID, Address: netip.AddrPortFrom(s.Overlay, serverPort)})
	}
	return role(api.RoleGLB, c)
}

// listed are the machines that proxies may send connections to, oldest first: those that stay, and those that go while they are still needed.
// Whether a machine can be used now its own check program tells.
func (f *fleet) listed() []*machine {
	all := choose(f.members, func(m *machine) bool { return slices.Contains(f.servers.stay, m) || !m.Draining() || !f.spared() })
	slices.SortFunc(all, func(a, b *machine) int { return service.ByAge(a.ID, b.ID) })
	return all
}

// spared tells whether a machine that goes is not needed: one that stays has all the data. Until it is removed it may be needed again.
func (f *fleet) spared() bool { return slices.ContainsFunc(f.servers.stay, (*machine).works) }

// full tells of a machine whose volume has no room for changes, "" where there is none.
func (f *fleet) full() string {
	for _, m := range f.servers.stay {
		if m.Connected && m.facts.Full {
			return fmt.Sprintf("changes may be refused: the volume of %s is full; drop or truncate tables, or move to larger volumes", m.ID)
		}
	}
	return ""
}

// users are the machines whose proxies must have left a machine that goes before it ends its database.
func (f *fleet) users(leaving *machine) (out []api.NodeID) {
	for _, m := range slices.Concat(f.servers.stay, f.proxies.stay) {
		if m != leaving && m.Connected && m.proxy != "" && m.proxy != api.RoleDrained {
			out = append(out, m.ID)
		}
	}
	return out
}

// serve are the machines that take the connections of programs.
func (f *fleet) serve() (out []api.NodeID) {
	from := f.servers.stay
	if f.replaced() {
		from = f.proxies.stay
	}
	for _, m := range from {
		if m.Serving && (!m.Connected || m.proxy == api.RoleReady && (m.Role == api.RoleGLB || m.works())) {
			out = append(out, m.ID)
		}
	}
	return out
}
