package app

import (
	"cmp"
	"maps"
	"slices"

	"conpaas/client/api"
	"conpaas/director/store"
)

// neighbours are the services of one application, with what the variables of each are made of.
type neighbours struct {
	application  string
	services     []store.Service
	environments map[api.ServiceID]*store.Environment
	secrets      map[api.ServiceID]map[string]api.Secret
}

func loadNeighbours(r *store.Read, id api.ApplicationID) (n neighbours, err error) {
	v, err := r.Application(id)
	if err != nil {
		return n, err
	}
	n.application = v.Name
	if n.services, err = r.Services(id); err != nil {
		return n, err
	}
	if n.environments, err = r.Environments(id); err != nil {
		return n, err
	}
	n.secrets, err = r.ServiceSecrets(id)
	return n, err
}

// variable is one of a service, in clear.
type variable struct {
	name   string
	value  api.Secret
	secret bool
	from   api.VariableFrom
	link   string
}

func (n neighbours) service(id api.ServiceID) (store.Service, bool) {
	i := slices.IndexFunc(n.services, func(s store.Service) bool { return s.ID == id && s.Wanted != store.ServiceRemoved })
	if i < 0 {
		return store.Service{}, false
	}
	return n.services[i], true
}

func (n neighbours) environment(id api.ServiceID) store.Environment {
	if e := n.environments[id]; e != nil {
		return *e
	}
	return store.Environment{}
}

// offers gives what a service offers to others; nil for nothing.
func offers(s store.Service) *api.LinkKind {
	kind, _ := api.FindServiceKind(s.Type)
	return kind.Link
}

// targets gives the services whose variables a service gets: those that it was linked with, else all that offer
// something. One that offers something itself is only linked by name, or two of them would know each other.
func (n neighbours) targets(s store.Service) (out []store.Service) {
	links := n.environment(s.ID).Links
	if len(links) > 0 {
		for _, id := range links {
			if target, ok := n.service(id); ok {
				out = append(out, target)
			}
		}
		return out
	}
	for _, target := range n.services {
		if offers(s) == nil && offers(target) != nil && target.ID != s.ID && target.Wanted != store.ServiceRemoved {
			out = append(out, target)
		}
	}
	return out
}

// variables gives those of a service: of its links the first of a name, an own variable over that of a link, an own
// secret over both.
func (n neighbours) variables(s store.Service) []variable {
	all := make(map[string]variable)
	for _, target := range n.targets(s) {
		for _, v := range n.offered(target) {
			if _, taken := all[v.name]; !taken {
				all[v.name] = v
			}
		}
	}
	own := n.environment(s.ID)
	for name, value := range own.Variables {
		all[name] = variable{name: name, value: api.Secret(value), from: api.FromVariable}
	}
	for name, value := range own.Secrets {
		all[name] = variable{name: name, value: value, secret: true, from: api.FromSecret}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b variable) int { return cmp.Compare(a.name, b.name) })
}

// offered gives what a service gives to those that are linked with it, under its type's prefix and under its own name and that.
func (n neighbours) offered(s store.Service) (out []variable) {
	kind := offers(s)
	if kind == nil {
		return nil
	}
	host := api.Secret(api.HostNameOf(s.Name, n.application))
	values := []variable{{name: "IP", value: host}, {name: "HOST", value: host}, {name: "PORT", value: api.Secret(portText(kind.Port))}}
	if kind.User != "" {
		values = append(values, variable{name: "USER", value: api.Secret(kind.User)})
	}
	if password := n.secrets[s.ID][kind.Secret]; password != "" {
		values = append(values, variable{name: "PASSWORD", value: password, secret: true})
	}
	for _, prefix := range []string{kind.Prefix, upper(s.Name) + "_" + kind.Prefix} {
		for _, v := range values {
			out = append(out, variable{name: prefix + "_" + v.name, value: v.value, secret: v.secret, from: api.FromLink, link: s.Name})
		}
	}
	return out
}

// env gives the variables of a service as its machines get them.
func (n neighbours) env(s store.Service) map[string]api.Secret {
	all := n.variables(s)
	if len(all) == 0 {
		return nil
	}
	env := make(map[string]api.Secret, len(all))
	for _, v := range all {
		env[v.name] = v.value
	}
	return env
}

func changeLinks(tx *store.Tx, s store.Service, in api.EnvironmentChange) error {
	for _, ref := range in.Unlink {
		target, err := linkTarget(tx, s, "unlink", ref)
		if err == nil {
			err = tx.UnlinkService(s.Application, s.ID, target.ID)
		}
		if notFound(err) {
			return api.InField("unlink", "service %q is not linked with %q by name", s.Name, ref)
		} else if err != nil {
			return err
		}
	}
	for _, ref := range in.Link {
		target, err := linkTarget(tx, s, "link", ref)
		if err != nil {
			return err
		}
		if err := mayLink(tx, s, target); err != nil {
			return err
		}
		if err := tx.LinkService(s.Application, s.ID, target.ID); err != nil {
			return err
		}
	}
	return nil
}

func linkTarget(tx *store.Tx, s store.Service, field, ref string) (store.Service, error) {
	target, err := tx.FindService(s.Application, ref)
	if notFound(err) || err == nil && target.Wanted == store.ServiceRemoved {
		return target, api.InField(field, "there is no service %.80q in the application", ref)
	}
	return target, err
}

// mayLink refuses links that give nothing and those that go round in a circle: none of its services could be the first.
func mayLink(tx *store.Tx, s, target store.Service) error {
	switch {
	case target.ID == s.ID:
		return api.InField("link", "service %q cannot be linked with itself", s.Name)
	case offers(target) == nil:
		return api.InField("link", "service %q is of type %s, which offers nothing to others", target.Name, target.Type)
	}
	all, err := tx.Environments(s.Application)
	if err != nil {
		return err
	}
	if e := all[s.ID]; e != nil && slices.Contains(e.Links, target.ID) {
		return api.InField("link", "service %q is linked with %q already", s.Name, target.Name)
	}
	seen := make(map[api.ServiceID]bool)
	var leads func(from api.ServiceID) bool
	leads = func(from api.ServiceID) bool {
		if from == s.ID {
			return true
		}
		if seen[from] || all[from] == nil {
			return false
		}
		seen[from] = true
		return slices.ContainsFunc(all[from].Links, leads)
	}
	if leads(target.ID) {
		return api.InField("link", "service %q is linked with %q, perhaps by others; a circle of links is not possible", target.Name, s.Name)
	}
	return nil
}

// linkedWith refuses the removal of a service that others are linked with by name.
func linkedWith(tx *store.Tx, s store.Service) error {
	n, err := loadNeighbours(&tx.Read, s.Application)
	if err != nil {
		return err
	}
	for _, other := range n.services {
		if other.Wanted != store.ServiceRemoved && slices.Contains(n.environment(other.ID).Links, s.ID) {
			return api.Errorf(api.CodeConflict, "service %q is linked with %q; unlink it first: cps service unlink %s %s %s", other.Name, s.Name, n.application, other.Name, s.Name)
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
