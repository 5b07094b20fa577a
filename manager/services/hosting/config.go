package hosting

import (
	"encoding/json"
	"maps"
	"net/netip"
	"regexp"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// config is what a machine is to be while it works.
func (f *fleet) config(m *machine) service.Config {
	switch m.Role {
	case api.RoleProxy:
		return f.proxyConfig(m)
	case api.RoleWeb:
		return f.serverConfig(m, f.web(m))
	case api.RoleBackend:
		return f.serverConfig(m, f.backend(m, false))
	}
	return service.Config{}
}

// idleConfig is what a machine is to be that goes and that nobody uses.
func (f *fleet) idleConfig(m *machine) service.Config {
	if m.Role == api.RoleBackend {
		return service.Config{Roles: []api.RoleSpec{f.backend(m, true)}}
	}
	return service.Config{}
}

// serverConfig puts roles that need the code on a machine.
func (f *fleet) serverConfig(m *machine, roles ...api.RoleSpec) service.Config {
	return service.Config{Roles: roles, Blobs: f.blobs(), After: f.awaited(m)}
}

// proxyConfig is that of a proxy, with the roles that are packed on the first one. A role that has machines of its own
// now ends there when nobody uses it any more.
func (f *fleet) proxyConfig(m *machine) service.Config {
	c := service.Config{Expose: []uint16{Port}}
	proxy := api.HostingProxyConfig{Port: Port, Version: f.version(m), Webs: list(f.webList[m.ID], webPort)}
	if m == f.first {
		store := f.sessions()
		proxy.Sessions, proxy.Holders = &store, f.holders()
	}
	c.Roles = append(c.Roles, role(api.RoleProxy, proxy))
	if m != f.first {
		return c
	}
	if f.packed(api.RoleWeb) || f.usedWeb(m) {
		c.Roles = append(c.Roles, f.web(m))
	}
	if f.packed(api.RoleBackend) || f.usedBackend(m) {
		c.Roles = append(c.Roles, f.backend(m, false))
	} else if s := m.part(api.RoleBackend).state; s != "" && s != api.RoleDrained {
		c.Roles = append(c.Roles, f.backend(m, true))
	}
	if len(c.Roles) > 1 {
		packed := f.serverConfig(m, c.Roles...)
		c.Blobs, c.After = packed.Blobs, packed.After
	}
	return c
}

func (f *fleet) web(m *machine) api.RoleSpec {
	return role(api.RoleWeb, api.HostingWebConfig{
		Listen: netip.AddrPortFrom(m.Overlay, webPort), Versions: f.versions, Backends: list(f.upstream[m.ID], backendPort), Patience: f.patience,
	})
}

func (f *fleet) backend(m *machine, drain bool) api.RoleSpec {
	return role(api.RoleBackend, api.HostingBackendConfig{
		Listen: netip.AddrPortFrom(m.Overlay, backendPort), Versions: f.versions, Settings: f.settings(), Sessions: f.sessions(),
		Patience: f.patience, Env: f.in.Spec.Env, Drain: drain,
	})
}

// sessions is where the first proxy keeps them; nowhere while there is no proxy.
func (f *fleet) sessions() api.SessionsStore {
	s := api.SessionsStore{Password: f.in.Spec.Secrets[sessionsSecret].Reveal()}
	if f.first != nil {
		s.Listen = netip.AddrPortFrom(f.first.Overlay, sessionsPort)
	}
	return s
}

// hostName is what a host name looks like that is passed on: an agent may say anything.
var hostName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$`)

// holders are the other machines whose programs may lock sessions: the backends in use. Of several machines with one host
// name nobody could tell whose a lock is: they are left out.
func (f *fleet) holders() (out []api.LockHolder) {
	count := make(map[string]int)
	for _, m := range f.machines {
		count[m.part(api.RoleBackend).facts.Host]++
	}
	used := make(map[*machine]bool)
	for _, servers := range f.upstream {
		for _, m := range servers {
			used[m] = true
		}
	}
	for _, m := range f.machines {
		name := m.part(api.RoleBackend).facts.Host
		if m != f.first && used[m] && count[name] == 1 && hostName.MatchString(name) {
			out = append(out, api.LockHolder{Address: m.Overlay, Name: name})
		}
	}
	return out
}

// settings gives all settings of the type: what the user has set, else the catalogue's defaults.
func (f *fleet) settings() map[string]string {
	out := maps.Clone(f.in.Spec.Settings)
	if out == nil {
		out = make(map[string]string)
	}
	kind, _ := api.FindServiceKind(f.in.Spec.Type)
	for _, s := range kind.Settings {
		out[s.Name] = f.in.Setting(s.Name)
	}
	return out
}

func (f *fleet) blobs() (out []string) {
	for _, v := range f.versions {
		if v.SHA256 != "" {
			out = append(out, v.SHA256)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func list(machines []*machine, port uint16) []api.Server {
	out := make([]api.Server, len(machines))
	for i, m := range machines {
		out[i] = api.Server{Node: m.ID, Address: netip.AddrPortFrom(m.Overlay, port)}
	}
	return out
}

func role(r api.Role, config any) api.RoleSpec {
	data, _ := json.Marshal(config) // a value of these types always has a JSON form
	return api.RoleSpec{Role: r, Config: data}
}
