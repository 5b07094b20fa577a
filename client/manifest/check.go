package manifest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"conpaas/client/api"
)

// Complete gives services without a name one, as the director does: the type, or the type with a number.
func (m *Manifest) Complete() {
	taken := make(map[string]bool)
	for _, s := range m.Services {
		taken[strings.ToLower(s.Name)] = true
	}
	for i := range m.Services {
		s := &m.Services[i]
		for n := 1; s.Name == "" && s.Type != ""; n++ {
			name := string(s.Type)
			if n > 1 {
				name += "-" + strconv.Itoa(n)
			}
			if !taken[name] {
				s.Name, taken[name] = name, true
			}
		}
	}
}

// Without leaves the services of a type out, the links to them and their volumes.
func (m *Manifest) Without(t api.ServiceType) {
	gone := make(map[string]bool)
	m.Services = slices.DeleteFunc(m.Services, func(s Service) bool {
		gone[s.Name] = s.Type == t
		return s.Type == t
	})
	m.Volumes = slices.DeleteFunc(m.Volumes, func(v Volume) bool { return gone[v.Service] })
	for i := range m.Services {
		m.Services[i].Links = slices.DeleteFunc(m.Services[i].Links, func(name string) bool { return gone[name] })
	}
}

// Check tells all that is wrong with a complete manifest for a director that has these types; nil for nothing. The error
// wraps ErrManifest.
func (m Manifest) Check(kinds []api.ServiceKind) error {
	c := checker{kinds: kinds}
	if m.Application == "" {
		c.wrong("Application", "name the application")
	} else if err := api.CheckName(m.Application); err != nil {
		c.wrong("Application", "%v", err)
	}
	names := make(map[string]string)
	for i, s := range m.Services {
		at := fmt.Sprintf("Services[%d]", i)
		if err := api.CheckName(s.Name); s.Name != "" && err != nil {
			c.wrong(at+".ServiceName", "%v", err)
		}
		if other, taken := names[strings.ToLower(s.Name)]; taken && s.Name != "" {
			c.wrong(at+".ServiceName", "%s has the name %q already", other, s.Name)
		}
		names[strings.ToLower(s.Name)] = at
		c.service(at, s)
		c.links(at, m, s)
	}
	c.volumes(m)
	if text := m.circle(); text != "" {
		c.wrong("Links", "%s", text)
	}
	if len(c.errs) > 0 {
		return fmt.Errorf("%w:\n%w", ErrManifest, errors.Join(c.errs...))
	}
	return nil
}

type checker struct {
	kinds []api.ServiceKind
	errs  []error
}

func (c *checker) wrong(path, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

func (c *checker) service(at string, s Service) {
	if s.Type == "" {
		c.wrong(at+".Type", "name the type of the service; there are: %s", strings.Join(typeNames(c.kinds), ", "))
		return
	}
	i := slices.IndexFunc(c.kinds, func(k api.ServiceKind) bool { return k.Type == s.Type })
	if i < 0 {
		c.wrong(at+".Type", "this director has no services of type %q, the nearest is %s; there are: %s",
			s.Type, api.Nearest(string(s.Type), typeNames(c.kinds)), strings.Join(typeNames(c.kinds), ", "))
		return
	}
	kind := c.kinds[i]
	for _, role := range slices.Sorted(maps.Keys(s.StartupInstances)) {
		row, known := kind.FindRole(role)
		switch {
		case !known:
			c.wrong(at+".StartupInstances."+string(role), "services of type %s have no such role; there are: %s", s.Type, join(kind.RoleNames()))
		case s.StartupInstances[role] < row.Min:
			c.wrong(at+".StartupInstances."+string(role), "it needs at least %d", row.Min)
		case row.Max > 0 && s.StartupInstances[role] > row.Max:
			c.wrong(at+".StartupInstances."+string(role), "there can be at most %d", row.Max)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		i := slices.IndexFunc(kind.Settings, func(k api.Setting) bool { return k.Name == name })
		if i < 0 {
			c.wrong(at+".Settings."+name, "services of type %s have no such setting; the nearest is %s", s.Type, api.Nearest(name, settingNames(kind)))
		} else if _, err := kind.Settings[i].Parse(s.Settings[name]); err != nil {
			c.wrong(at+".Settings."+name, "%q: %v", s.Settings[name], err)
		}
	}
	for _, name := range s.Foreign {
		c.wrong(at+"."+name, "services of type %s have no such key here; leave it out", s.Type)
	}
	if s.Archive != "" && !kind.Code {
		c.wrong(at+".Archive", "services of type %s run no code of their owner's", s.Type)
	}
}

func (c *checker) links(at string, m Manifest, s Service) {
	for i, name := range s.Links {
		path := fmt.Sprintf("%s.Links[%d]", at, i)
		switch _, known := m.Find(name); {
		case name == s.Name:
			c.wrong(path, "a service cannot be linked with itself")
		case !known:
			c.wrong(path, "the manifest has no service %q; the nearest is %s", name, api.Nearest(name, m.names()))
		case slices.Index(s.Links, name) < i:
			c.wrong(path, "it is there twice")
		}
	}
}

// circle names services whose links lead back to the first of them, "" where there are none.
func (m Manifest) circle() string {
	done := make(map[string]bool)
	var path []string
	var follow func(name string) bool
	follow = func(name string) bool {
		if i := slices.Index(path, name); i >= 0 {
			path = append(path[i:], name)
			return true
		}
		if done[name] {
			return false
		}
		done[name] = true
		path = append(path, name)
		s, _ := m.Find(name)
		if slices.ContainsFunc(s.Links, func(next string) bool { return next != name && follow(next) }) {
			return true
		}
		path = path[:len(path)-1]
		return false
	}
	for _, s := range m.Services {
		if follow(s.Name) {
			return "they go in a circle: " + strings.Join(path, " → ")
		}
	}
	return ""
}

func typeNames(kinds []api.ServiceKind) (names []string) {
	for _, k := range kinds {
		names = append(names, string(k.Type))
	}
	return names
}

func settingNames(kind api.ServiceKind) (names []string) {
	for _, s := range kind.Settings {
		names = append(names, s.Name)
	}
	return names
}

func join(roles []api.Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}
