package config

import (
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"conpaas/director/cloud"
)

var cloudName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// clouds reads [iaas], the sections that OTHER_CLOUDS names, and the clouds of CONNECTORS, into one list.
func (r *reader) clouds(c *Config) {
	names := []string{DefaultCloud}
	add := func(e *entry, name string) bool {
		switch {
		case !cloudName.MatchString(name):
			r.fail(e.line, "%s: %q cannot be the name of a cloud; use letters, digits, '-', '_' and '.'", e.name, name)
		case slices.Contains([]string{DefaultCloud, sectionGeneral, sectionCloud, sectionDirector}, name):
			r.fail(e.line, "%s: a cloud cannot be named %s; the default one is that of [%s]", e.name, name, sectionCloud)
		case slices.Contains(names, name):
			r.fail(e.line, "%s: the cloud %s is named twice", e.name, name)
		default:
			names = append(names, name)
			return true
		}
		r.takeAll(name)
		return false
	}
	c.MaxVMs = r.count(r.take(sectionCloud, "MAX_VMS_ALL_CLOUDS"), defaultMaxVMs)
	others, connectors := r.take(sectionCloud, "OTHER_CLOUDS"), r.take(sectionCloud, "CONNECTORS")

	if kind, ok := r.kind(sectionCloud, "local"); ok {
		r.cloud(c, DefaultCloud, sectionCloud, kind)
	}
	for _, name := range split(others) {
		if !add(others, name) {
			continue
		}
		if r.sections[name] == nil {
			r.fail(others.line, "%s: there is no section [%s]", others.name, name)
			continue
		}
		if kind, ok := r.kind(name, ""); ok {
			r.cloud(c, name, name, kind)
		}
	}
	for _, pair := range split(connectors) {
		name, kind, named := strings.Cut(pair, ":")
		if !named {
			kind = name
		}
		name, kind = strings.TrimSpace(name), strings.ToLower(strings.TrimSpace(kind))
		if !add(connectors, name) {
			continue
		}
		if !r.knownKind(connectors, kind) {
			r.takeAll(name)
			continue
		}
		if own, ok := r.kind(name, kind); ok && own == kind {
			r.cloud(c, name, name, kind)
		} else if ok {
			r.fail(connectors.line, "%s: %s is of kind %s here and of kind %s in its section", connectors.name, name, kind, own)
			r.takeAll(name)
		}
	}
}

// split gives the members of a list, which commas and line ends part.
func split(e *entry) []string {
	if e == nil {
		return nil
	}
	var out []string
	for _, part := range strings.FieldsFunc(e.value, func(c rune) bool { return c == ',' || c == '\n' }) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// kind gives the DRIVER of a section; fallback is what its absence means, "" that it must be there.
func (r *reader) kind(section, fallback string) (kind string, ok bool) {
	e := r.take(section, "DRIVER")
	switch {
	case e != nil:
		kind = strings.ToLower(e.value)
		return kind, r.knownKind(e, kind)
	case fallback == "":
		r.fail(r.sections[section].line, "[%s] has no DRIVER; the kinds of clouds are %s", section, r.kinds())
		r.takeAll(section)
		return "", false
	case !r.hasKind(fallback):
		r.fail(0, "DRIVER is missing in [%s]; the kinds of clouds are %s", section, r.kinds())
		r.takeAll(section)
		return "", false
	}
	return fallback, true
}

func (r *reader) knownKind(e *entry, kind string) bool {
	if r.hasKind(kind) {
		return true
	}
	r.fail(e.line, "%s: this version has no kind of cloud %q; it has %s", e.name, kind, r.kinds())
	for _, s := range r.sections { // whose keys are known only with the kind
		if s.keys["DRIVER"] == e {
			r.takeAll(s.name)
		}
	}
	return false
}

func (r *reader) hasKind(kind string) bool {
	_, ok := r.options.Kinds[kind]
	return ok
}

func (r *reader) kinds() string {
	return strings.Join(slices.Sorted(maps.Keys(r.options.Kinds)), ", ")
}

// kindOf gives the kind that a section's cloud has, for hints.
func (r *reader) kindOf(section string) string {
	if s := r.sections[section]; s != nil && s.keys["DRIVER"] != nil {
		return strings.ToLower(s.keys["DRIVER"].value)
	}
	if section == sectionCloud {
		return "local"
	}
	return ""
}

// takeAll takes every key of a section in which a greater mistake has been found.
func (r *reader) takeAll(section string) {
	if s := r.sections[section]; s != nil {
		s.named = true
		for _, e := range s.list {
			e.used = true
		}
	}
}

// cloud reads the cloud name from its section.
func (r *reader) cloud(c *Config, name, section, kind string) {
	options := r.options.Kinds[kind]
	if s := r.sections[section]; s != nil {
		s.named = true
	}
	out := Cloud{Name: name, Kind: kind, Options: map[string]string{}, secret: map[string]bool{}}
	for _, o := range options {
		r.option(c, &out, section, o)
	}
	isOption := func(key string) bool {
		return slices.ContainsFunc(options, func(o cloud.Option) bool { return o.Name == key })
	}
	if e := r.take(section, "DIRECTOR_ADDRESS"); e != nil && !isOption("DIRECTOR_ADDRESS") {
		host, port, err := net.SplitHostPort(e.value)
		if err != nil || !isHost(host) || !isPort(port) {
			r.fail(e.line, "%s = %s: want HOST:PORT", e.name, e.value)
		}
		r.outside(c, e, host)
		out.DirectorAddress = e.value
	}
	out.MaxVMs = r.count(r.take(section, "MAX_VMS"), 0)
	r.takeLater(section, sectionCloud, isOption)
	c.Clouds = append(c.Clouds, out)
}

func (r *reader) option(c *Config, out *Cloud, section string, o cloud.Option) {
	value := o.Default
	if e := r.take(section, o.Name); e != nil {
		value = e.value
		if p, err := netip.ParsePrefix(value); err == nil && c.VPN.Plan.Prefix().IsValid() && c.VPN.Plan.Overlaps(p) {
			r.fail(e.line, "%s = %s overlaps the overlay network %s; choose another one, or another VPN_BASE_NETWORK", e.name, value, c.VPN.Plan.Prefix())
		}
	}
	if value == "" && o.Required {
		line := 0
		if s := r.sections[section]; s != nil {
			line = s.line
		}
		r.fail(line, "[%s] has no %s: %s", section, o.Name, o.Help)
	}
	out.Options[o.Name] = value
	out.secret[o.Name] = o.Secret
}

// defaultMaxVMs is MAX_VMS_ALL_CLOUDS where the file does not say: nothing else bounds what the machines of users cost.
const defaultMaxVMs = 100

// count reads a number of machines; 0 is no limit.
func (r *reader) count(e *entry, otherwise int) int {
	if e == nil {
		return otherwise
	}
	n, err := strconv.Atoi(e.value)
	if err != nil || n < 0 {
		r.fail(e.line, "%s = %s: want a number of machines; 0 is no limit", e.name, e.value)
		return 0
	}
	return n
}
