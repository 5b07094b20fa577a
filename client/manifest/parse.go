package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"conpaas/client/api"
)

// Largest is how many bytes a manifest may have.
const Largest = 1 << 20

// Parse reads a manifest. All its mistakes are in the error, which wraps ErrManifest, each with its line; what needs knowledge of
// the service types is Check's.
func Parse(data []byte) (Manifest, error) {
	var m Manifest
	switch {
	case len(data) > Largest:
		return m, fmt.Errorf("%w: it has more than %d bytes", ErrManifest, Largest)
	case !utf8.Valid(data):
		return m, fmt.Errorf("%w: it is not a text of UTF-8", ErrManifest)
	}
	t, err := readTree(data)
	if err != nil {
		return m, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	var p parser
	m = p.manifest(t)
	if len(p.errs) > 0 {
		return m, fmt.Errorf("%w:\n%w", ErrManifest, errors.Join(p.errs...))
	}
	return m, nil
}

// parser collects the mistakes on its way.
type parser struct {
	errs []error
}

func (p *parser) wrong(line int, path, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("line %d: %s: %s", line, path, fmt.Sprintf(format, args...)))
}

// key is what may stand under a name, and what becomes of it.
type key struct {
	name string
	read func(t tree, path string)
}

// object reads the members of an object. An unknown one is told with the nearest known one.
func (p *parser) object(t tree, path string, keys []key) {
	if t.kind != "object" {
		p.wrong(t.line, path, "want an object with keys, not %s", t.said())
		return
	}
	names := make([]string, len(keys))
	var near []string
	for i, k := range keys {
		names[i] = k.name
		if !slices.Contains(foreignKeys, k.name) {
			near = append(near, k.name)
		}
	}
	seen := make(map[string]bool)
	for _, f := range t.fields {
		at := strings.TrimPrefix(path+"."+f.name, ".")
		i := slices.Index(names, f.name)
		switch {
		case i < 0:
			p.wrong(f.line, at, "unknown key; the nearest known one is %s", api.Nearest(f.name, near))
		case seen[f.name]:
			p.wrong(f.line, at, "it is there twice")
		case f.value.kind != "nothing":
			keys[i].read(f.value, at)
		}
		seen[f.name] = true
	}
}

func (t tree) said() string {
	switch t.kind {
	case "object", "list":
		return "a " + strings.Replace(t.kind, "object", "group of keys", 1)
	case "nothing":
		return "nothing"
	}
	return fmt.Sprintf("%.80q", t.text)
}

func (p *parser) manifest(t tree) (m Manifest) {
	p.object(t, "", []key{
		{"Application", p.text(&m.Application)},
		{"Description", p.text(&m.Description)},
		{"Cloud", p.text(&m.Cloud)},
		{"Services", func(t tree, path string) {
			p.list(t, path, func(t tree, path string) { m.Services = append(m.Services, p.service(t, path)) })
		}},
		{"Volumes", func(t tree, path string) {
			p.list(t, path, func(t tree, path string) { m.Volumes = append(m.Volumes, p.volume(t, path)) })
		}},
	})
	return m
}

// foreignKeys are those of services of the original that no type has here. Nobody is led to them.
var foreignKeys = []string{"VolumeStartup", "StartRole"}

func (p *parser) service(t tree, path string) Service {
	s := Service{Start: true}
	var kind, password string
	keys := []key{
		{"ServiceName", p.text(&s.Name)},
		{"Type", p.text(&kind)},
		{"Cloud", p.text(&s.Cloud)},
		{"Start", p.flag(&s.Start)},
		{"StartupInstances", func(t tree, path string) {
			s.StartupInstances = make(map[api.Role]int)
			p.members(t, path, func(name string, t tree, path string) {
				var n int
				p.number(&n)(t, path)
				s.StartupInstances[api.Role(name)] = n
			})
		}},
		{"StartupScript", p.text(&s.StartupScript)},
		{"Archive", p.text(&s.Archive)},
		{"Dump", p.text(&s.Dump)},
		{"Password", p.text(&password)},
		{"Settings", p.texts(&s.Settings)},
		{"Environment", p.texts(&s.Environment)},
		{"Secrets", func(t tree, path string) {
			var clear map[string]string
			p.texts(&clear)(t, path)
			s.Secrets = make(map[string]api.Secret)
			for name, text := range clear {
				s.Secrets[name] = api.Secret(text)
			}
		}},
		{"Links", func(t tree, path string) {
			p.list(t, path, func(t tree, path string) {
				var name string
				p.text(&name)(t, path)
				s.Links = append(s.Links, name)
			})
		}},
	}
	for _, name := range foreignKeys {
		keys = append(keys, key{name, func(tree, string) { s.Foreign = append(s.Foreign, name) }})
	}
	p.object(t, path, keys)
	s.Type, s.Password = api.ServiceType(kind), api.Secret(password)
	return s
}

func (p *parser) list(t tree, path string, read func(tree, string)) {
	if t.kind != "list" {
		p.wrong(t.line, path, "want a list, not %s", t.said())
		return
	}
	for i, item := range t.items {
		read(item, fmt.Sprintf("%s[%d]", path, i))
	}
}

// members reads an object whose names are free.
func (p *parser) members(t tree, path string, read func(name string, t tree, path string)) {
	if t.kind != "object" {
		p.wrong(t.line, path, "want an object of names and values, not %s", t.said())
		return
	}
	seen := make(map[string]bool)
	for _, f := range t.fields {
		at := path + "." + f.name
		if seen[f.name] {
			p.wrong(f.line, at, "it is there twice")
		}
		seen[f.name] = true
		read(f.name, f.value, at)
	}
}

// text takes numbers and switches as they are written.
func (p *parser) text(to *string) func(tree, string) {
	return func(t tree, path string) {
		if t.kind == "object" || t.kind == "list" || t.kind == "nothing" {
			p.wrong(t.line, path, "want a text, not %s", t.said())
			return
		}
		*to = t.text
	}
}

func (p *parser) texts(to *map[string]string) func(tree, string) {
	return func(t tree, path string) {
		*to = make(map[string]string)
		p.members(t, path, func(name string, t tree, path string) {
			var text string
			p.text(&text)(t, path)
			(*to)[name] = text
		})
	}
}

// number takes "3" as well as 3, as the original does.
func (p *parser) number(to *int) func(tree, string) {
	return func(t tree, path string) {
		n, err := strconv.ParseUint(t.text, 10, 31)
		if err != nil {
			p.wrong(t.line, path, "want a number from 0, not %s", t.said())
			return
		}
		*to = int(n)
	}
}

// flag takes 0 and 1, as the original does, and true and false.
func (p *parser) flag(to *bool) func(tree, string) {
	return func(t tree, path string) {
		switch t.text {
		case "0", "false":
			*to = false
		case "1", "true":
			*to = true
		default:
			p.wrong(t.line, path, "want 0 or 1, not %s", t.said())
		}
	}
}
