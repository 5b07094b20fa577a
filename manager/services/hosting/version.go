package hosting

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"conpaas/client/api"
)

// completeCode gives the code of a service with nothing left open: without a word of it there is the welcome page, and what
// serves is among the versions. They are in the order of their ids.
func completeCode(c *api.CodeSpec) api.CodeSpec {
	var out api.CodeSpec
	if c != nil {
		out = *c
	}
	out.Wanted = cmp.Or(out.Wanted, out.Serving, api.CodeDefault)
	out.Serving = cmp.Or(out.Serving, out.Wanted)
	known := make(map[string]api.CodeBlob)
	for _, v := range out.Versions {
		known[v.ID] = v
	}
	for _, id := range []string{out.Wanted, out.Serving} {
		if _, ok := known[id]; !ok && id == api.CodeDefault {
			known[id] = api.CodeBlob{ID: id}
		}
	}
	out.Versions = slices.SortedFunc(maps.Values(known), func(a, b api.CodeBlob) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// chooseVersion decides which version requests are to get: the wanted one once every server in use or ready has checked
// it and nobody has refused it, and from then on; until then the one that served last.
func (f *fleet) chooseVersion() {
	f.begun = slices.ContainsFunc(f.gateways(), func(m *machine) bool { return m.part(api.RoleProxy).facts.Version == f.code.Wanted })
	f.refused = f.refusal()
	f.serve = f.code.Serving
	if f.begun || f.refused == "" && f.agreed(f.code.Wanted) {
		f.serve = f.code.Wanted
	}

	live, unsure := []string{f.serve}, false
	for _, m := range f.gateways() {
		v := m.part(api.RoleProxy).facts.Version
		if v != "" {
			live = append(live, v)
		}
		unsure = unsure || !m.Current || v == ""
	}
	f.live = compact(live)
	if unsure {
		live = append(live, f.code.Wanted, f.code.Serving)
		live = append(live, f.extras()...)
	}
	f.need = compact(live)
}

// gateways are the proxies that may be giving requests a version now.
func (f *fleet) gateways() []*machine {
	return slices.DeleteFunc(slices.Concat(f.proxies.stay, f.proxies.leave), func(m *machine) bool { return !m.runs(api.RoleProxy) })
}

// refusal tells which machine has refused the wanted version, and why.
func (f *fleet) refusal() string {
	for _, r := range []api.Role{api.RoleBackend, api.RoleWeb} {
		own, _ := f.crew(r)
		for _, m := range own {
			if why, ok := m.part(r).facts.Refused[f.code.Wanted]; ok && m.Connected {
				return fmt.Sprintf("%s: %s", m.ID, cmp.Or(why, "no reason given"))
			}
		}
	}
	return ""
}

// agreed tells whether every server that is ready, or that somebody uses, has checked a version, and there are both webs
// and backends.
func (f *fleet) agreed(version string) bool {
	used := make(map[*machine]map[api.Role]bool)
	use := func(users []*machine, by, role api.Role) {
		for _, u := range users {
			for _, id := range u.part(by).facts.Servers {
				if m := f.byID[id]; m != nil && u.runs(by) {
					if used[m] == nil {
						used[m] = map[api.Role]bool{}
					}
					used[m][role] = true
				}
			}
		}
	}
	use(f.gateways(), api.RoleProxy, api.RoleWeb)
	use(f.all(api.RoleWeb), api.RoleWeb, api.RoleBackend)
	for _, r := range []api.Role{api.RoleWeb, api.RoleBackend} {
		some := false
		for _, m := range f.all(r) {
			ready := m.Connected && m.part(r).state == api.RoleReady
			if !ready && !used[m][r] {
				continue
			}
			if m.wavering || !m.part(r).checked([]string{version}) {
				return false
			}
			some = some || ready
		}
		if !some {
			return false
		}
	}
	return true
}

// extras are versions that servers have and that are not in the spec any more.
func (f *fleet) extras() (out []string) {
	for _, r := range []api.Role{api.RoleWeb, api.RoleBackend} {
		for _, m := range f.all(r) {
			if m.Connected {
				out = append(out, f.extrasOf(m)...)
			}
		}
	}
	return out
}

func (f *fleet) extrasOf(m *machine) (out []string) {
	for _, r := range []api.Role{api.RoleWeb, api.RoleBackend} {
		for v, ok := range m.part(r).facts.Checked {
			if ok && !f.specified(v) {
				out = append(out, v)
			}
		}
	}
	return out
}

func (f *fleet) specified(version string) bool {
	return slices.ContainsFunc(f.versions, func(b api.CodeBlob) bool { return b.ID == version })
}

// compact gives what is in a list, once each and in order.
func compact(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// codeStatus is what the director is told of the code.
func (f *fleet) codeStatus() *api.CodeStatus {
	s := &api.CodeStatus{}
	for i, m := range f.gateways() {
		v := m.part(api.RoleProxy).facts.Version
		if !m.Current || i > 0 && v != s.Serving {
			s.Serving = ""
			break
		}
		s.Serving = v
	}
	if f.refused != "" && !f.begun && f.code.Wanted != f.code.Serving {
		s.Refused, s.Reason = f.code.Wanted, f.refused
	}
	return s
}
