package config

import (
	"maps"
	"slices"
	"strings"

	"conpaas/client/api"
)

// The sections that are not clouds' own.
const (
	sectionGeneral  = "conpaas"
	sectionCloud    = "iaas"
	sectionDirector = "director"
)

// later has the keys of the original whose feature this version does not have, with the values at which they mean nothing. Other
// values would promise something, so they are refused.
var later = map[string]map[string][]string{
	sectionGeneral: {
		"SUPPORT_EXTERNAL_IDP": off, "SUPPORT_OPENID": off, "EXTERNAL_IDPS": nil,
		"JS_DEBUG_LEVEL": {"0"}, "AJAX_DEBUG_LEVEL": {"0"}, "PHP_DEBUG_LEVEL": {"0"}, "PYTHON_DEBUG_LEVEL": {"0"},
	},
	sectionCloud: {
		"COST_PER_TIME": nil, "PORT": {"8999"}, "CLOUDNAME": nil, "HOSTNAME": nil, "TIMEUNIT": {"60"}, "COSTUNIT": {"1"},
		"SAMPLING_WORKERS": {"1"}, "MAXNODES": {"20"}, "SPEEDFACTOR": {"1"},
	},
}

var (
	on  = []string{"true", "yes", "on", "1"}
	off = []string{"false", "no", "off", "0"}
)

// unneeded has the keys of the original that stand in every configuration and that nothing needs any more.
var unneeded = map[string]string{
	"CONF_DIR": "the configuration is the file named at the start",
	"CERT_DIR": "certificates and keys are in the database",
}

// known has the keys that stand in a section, beside later ones and the options of a cloud.
var known = map[string][]string{
	sectionGeneral:  {"DEPLOYMENT_NAME", "VPN_BASE_NETWORK", "VPN_NETMASK", "VPN_SERVICE_BITS", "VPN_BOOTSTRAP_NODES", "CONF_DIR", "CERT_DIR", "MAX_CREDIT"},
	sectionCloud:    {"DRIVER", "DIRECTOR_ADDRESS", "MAX_VMS", "MAX_VMS_ALL_CLOUDS", "OTHER_CLOUDS", "CONNECTORS"},
	sectionDirector: {"DEBUG", "DATABASE_URI", "USERDATA_DIR", "DIRECTOR_URL", "RELAY_PORT", "SELF_REGISTRATION", "INITIAL_CREDIT", "MAX_CREDIT", "NODE_CERT_LIFE", "NODE_CERT_GRACE", "DIRECTOR_CERT_LIFE", "CA_LIFE", "AUDIT_KEEP", "VOLUME_KEEP"},
	"":              {"DRIVER", "DIRECTOR_ADDRESS", "MAX_VMS"}, // the section of another cloud
}

// take gives the entry of a key, nil where it is absent or empty. A key that nobody takes is an unknown one.
func (r *reader) take(section, key string) *entry {
	s := r.sections[section]
	if s == nil {
		return nil
	}
	e := s.keys[key]
	if e == nil {
		return nil
	}
	e.used = true
	if e.value == "" {
		return nil
	}
	return e
}

// takeLater takes the keys of features that are not there yet; names for which skip is true have another meaning here.
func (r *reader) takeLater(section, table string, skip func(key string) bool) {
	for key, values := range later[table] {
		if skip(key) {
			continue
		}
		e := r.take(section, key)
		if e == nil || slices.Contains(values, strings.ToLower(e.value)) {
			continue
		}
		if len(values) > 0 {
			r.fail(e.line, "%s: not supported by this version; remove it, or leave it at %s", e.name, values[0])
		} else {
			r.fail(e.line, "%s: not supported by this version; remove it", e.name)
		}
	}
}

// unused reports every key and section that nobody has asked for.
func (r *reader) unused() {
	names := []string{sectionGeneral, sectionCloud, sectionDirector}
	for name, s := range r.sections {
		if !slices.Contains(names, name) && !s.named {
			r.fail(s.line, "unknown section [%s]; the nearest known one is [%s], and clouds are named by OTHER_CLOUDS or CONNECTORS in [%s]",
				name, api.Nearest(name, names), sectionCloud)
			continue
		}
		for _, e := range s.list {
			if !e.used {
				r.fail(e.line, "unknown key %s in [%s]; %s", e.name, name, r.hint(name, e.name))
			}
		}
	}
}

// hint says where a key belongs, or which known one is near.
func (r *reader) hint(section, key string) string {
	key = strings.ToUpper(key)
	for _, other := range slices.Sorted(maps.Keys(known)) {
		if other != "" && other != section && slices.Contains(known[other], key) {
			return "it belongs in [" + other + "]"
		}
	}
	table := section
	if known[section] == nil {
		table = ""
	}
	names := slices.Clone(known[table])
	if table == "" || table == sectionCloud {
		for _, o := range r.options.Kinds[r.kindOf(section)] {
			names = append(names, o.Name)
		}
	}
	return "the nearest known one is " + api.Nearest(key, names)
}
