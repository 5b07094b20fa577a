package hosting

import (
	"slices"
	"strings"

	"conpaas/client/api"
)

// chooseServers decides which backends each web uses and which webs each proxy uses.
func (f *fleet) chooseServers() {
	f.judged = make(map[string]bool)
	f.upstream, f.webList = make(map[api.NodeID][]*machine), make(map[api.NodeID][]*machine)
	for _, w := range f.all(api.RoleWeb) {
		f.upstream[w.ID] = f.pick(w, api.RoleWeb, api.RoleBackend, goodBackend)
	}
	for _, p := range slices.Concat(f.proxies.stay, f.proxies.leave) {
		f.webList[p.ID] = f.pick(p, api.RoleProxy, api.RoleWeb, f.goodWeb)
	}
}

// goodBackend tells whether a backend can take requests for all of these versions.
func goodBackend(m *machine, versions []string) bool { return m.fit(api.RoleBackend, versions) }

// goodWeb tells whether a web can take requests for all of these versions: it, and every backend of its that works, has
// them, and one does work.
func (f *fleet) goodWeb(m *machine, versions []string) bool {
	key := strings.Join(append([]string{string(m.ID)}, versions...), " ")
	good, known := f.judged[key]
	if !known {
		good = f.judgeWeb(m, versions)
		f.judged[key] = good
	}
	return good
}

func (f *fleet) judgeWeb(m *machine, versions []string) bool {
	if !m.fit(api.RoleWeb, versions) {
		return false
	}
	works := false
	for _, id := range m.part(api.RoleWeb).facts.Servers {
		s := f.byID[id]
		switch {
		case s == nil: // it is gone, and about to be dropped
		case s.presumed() || goodBackend(s, versions):
			works = true
		case s.Connected && s.part(api.RoleBackend).state == api.RoleReady: // it lacks a version
			return false
		}
	}
	return works
}

// pick gives the servers of a role that a user is to have. New ones come in when they have everything that a request may
// need. Those whose turn is over stay until all that replace them are in. When there is no good one the user keeps what
// it has, and gets those that may be alive.
func (f *fleet) pick(user *machine, by, role api.Role, good func(*machine, []string) bool) []*machine {
	own, others := f.crew(role)
	working := func(list []*machine) int { return len(choose(list, func(m *machine) bool { return good(m, f.live) })) }
	listed := func(m *machine) bool { return user.part(by).uses[m.ID] }
	stays := func(m *machine) bool {
		switch {
		case !listed(m):
			return false
		case m.Connected: // one that starts takes over a new configuration, and goes on by the old one until then
			state := m.part(role).state
			return good(m, f.live) || state == api.RoleStarting || state == api.RoleFailed && 2*working(own) < len(own)
		}
		return m.presumed() || m.silent(role, f.live) && m.Serving && 2*heard(own) < len(own)
	}
	comes := func(m *machine) bool { return !m.wavering && good(m, f.need) }

	in := choose(own, func(m *machine) bool { return stays(m) || comes(m) })
	if working(in) < max(1, f.in.Spec.Nodes[role]) {
		in = append(in, choose(others, func(m *machine) bool { return stays(m) && !m.wavering })...)
	}
	if working(in) == 0 {
		in = append(in, choose(others, func(m *machine) bool { return comes(m) && !slices.Contains(in, m) })...)
	}
	if working(in) == 0 { // rather one without a version that only may be asked for than none
		in = append(in, choose(own, func(m *machine) bool { return good(m, f.live) && !slices.Contains(in, m) })...)
	}
	if working(in) == 0 {
		in = choose(slices.Concat(own, others), func(m *machine) bool { return listed(m) || m.silent(role, f.live) })
	}
	if len(in) == 0 {
		in = choose(own, func(m *machine) bool { return m.Joined() })
	}
	slices.SortFunc(in, byAge)
	return in
}

// heard counts the machines that are connected.
func heard(machines []*machine) int {
	return len(choose(machines, func(m *machine) bool { return m.Connected }))
}

func choose(from []*machine, may func(*machine) bool) (out []*machine) {
	for _, m := range from {
		if may(m) {
			out = append(out, m)
		}
	}
	return out
}

// version gives the one that a proxy is to give requests. While no web can serve that of the plan it keeps its own.
func (f *fleet) version(m *machine) string {
	own := m.part(api.RoleProxy).facts.Version
	if own == "" || f.servable() {
		return f.serve
	}
	return own
}

// servable tells whether some web can take requests for the version of the plan, or could when it was heard last.
func (f *fleet) servable() bool {
	version := []string{f.serve}
	return slices.ContainsFunc(f.all(api.RoleWeb), func(m *machine) bool { return f.goodWeb(m, version) || m.silent(api.RoleWeb, version) })
}

// present tells whether some web and some backend have the version of the plan, whether they work or not.
func (f *fleet) present() bool {
	has := func(r api.Role) bool {
		return slices.ContainsFunc(f.all(r), func(m *machine) bool { return m.part(r).checked([]string{f.serve}) })
	}
	return has(api.RoleWeb) && has(api.RoleBackend)
}

// awaited gives the proxies that must have left versions which are not in the spec any more before a server that has
// such versions gets another configuration, since with that it loses them. Where nothing else can be served it waits for
// nobody.
func (f *fleet) awaited(m *machine) (out []api.NodeID) {
	if len(f.extrasOf(m)) == 0 || !f.present() {
		return nil
	}
	for _, g := range f.gateways() {
		if g != m && (!g.Current || !f.specified(g.part(api.RoleProxy).facts.Version)) {
			out = append(out, g.ID)
		}
	}
	return out
}
