package config

import (
	"encoding/base64"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"conpaas/certs"
	"conpaas/client/api"
	"conpaas/vpn"
)

// general reads [conpaas] but for the network.
func (r *reader) general(c *Config) {
	c.Deployment = "conpaas"
	if e := r.take(sectionGeneral, "DEPLOYMENT_NAME"); e != nil {
		c.Deployment = e.value
		if err := certs.CheckDeployment(e.value); err != nil {
			r.fail(e.line, "%s: %v", e.name, err)
		}
	}
	for _, key := range []string{"CONF_DIR", "CERT_DIR"} {
		if e := r.take(sectionGeneral, key); e != nil {
			r.notes = append(r.notes, e.name+" has no effect: "+unneeded[key])
		}
	}
	r.takeLater(sectionGeneral, sectionGeneral, func(string) bool { return false })
}

// director reads [director].
func (r *reader) director(c *Config) {
	c.Debug = r.flag(sectionDirector, "DEBUG")
	c.SelfRegistration = r.flag(sectionDirector, "SELF_REGISTRATION")
	r.credit(c)
	c.Dir = r.options.Dir
	if e := r.take(sectionDirector, "USERDATA_DIR"); e != nil {
		if !filepath.IsAbs(e.value) {
			r.fail(e.line, "%s = %s: want an absolute path", e.name, e.value)
		}
		c.Dir = filepath.Clean(e.value)
	}
	c.Database = filepath.Join(c.Dir, "director.db")
	if e := r.take(sectionDirector, "DATABASE_URI"); e != nil {
		r.database(c, e)
	}
	r.lives(c)
	if e := r.take(sectionDirector, "RELAY_PORT"); e != nil {
		switch port, err := strconv.ParseUint(e.value, 10, 16); {
		case slices.Contains(off[:3], strings.ToLower(e.value)):
			c.VPN.RelayPort = -1
		case err != nil || port == 0:
			r.fail(e.line, "%s = %s: want a UDP port, or no for a director without a relay", e.name, e.value)
		default:
			c.VPN.RelayPort = int(port)
		}
	}
	c.URL = &url.URL{Scheme: "https", Host: net.JoinHostPort(r.options.Host, "5555")}
	if e := r.take(sectionDirector, "DIRECTOR_URL"); e != nil {
		r.url(c, e)
	}
}

// flag reads a key that is true or false; false where it is absent.
func (r *reader) flag(section, key string) bool {
	e := r.take(section, key)
	if e == nil {
		return false
	}
	yes := slices.Contains(on, strings.ToLower(e.value))
	if !yes && !slices.Contains(off, strings.ToLower(e.value)) {
		r.fail(e.line, "%s = %s: want true or false", e.name, e.value)
	}
	return yes
}

func (r *reader) database(c *Config, e *entry) {
	path, ok := strings.CutPrefix(e.value, "sqlite:///")
	switch {
	case !ok:
		scheme, _, _ := strings.Cut(e.value, ":") // the rest may hold a password
		r.fail(e.line, "%s = %s:…: not supported by this version; want sqlite:///PATH", e.name, scheme)
	case path == "" || strings.ContainsAny(path, "?#") || strings.HasSuffix(path, "/"):
		r.fail(e.line, "%s = %s: want sqlite:///PATH with the path of a file", e.name, e.value)
	case filepath.IsAbs(path):
		c.Database = filepath.Clean(path)
	default:
		c.Database = filepath.Join(c.Dir, path)
	}
}

func (r *reader) url(c *Config, e *entry) {
	u, err := url.Parse(e.value)
	if err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" || !isHost(u.Hostname()) {
		r.fail(e.line, "%s = %s: want https://HOST:PORT, and nothing behind it", e.name, e.value)
		return
	}
	if !isPort(u.Port()) {
		r.fail(e.line, "%s = %s: name the port, for example https://%s", e.name, e.value, net.JoinHostPort(u.Hostname(), "5555"))
		return
	}
	c.URL = &url.URL{Scheme: "https", Host: net.JoinHostPort(strings.ToLower(u.Hostname()), u.Port())}
}

// network reads the keys of the overlay, and sees that the director is not inside of it.
func (r *reader) network(c *Config) {
	text := map[string]string{"VPN_BASE_NETWORK": "172.16.0.0", "VPN_NETMASK": "255.240.0.0", "VPN_SERVICE_BITS": "5"}
	line, sound := 0, true
	for _, key := range []string{"VPN_BASE_NETWORK", "VPN_NETMASK", "VPN_SERVICE_BITS"} {
		if e := r.take(sectionGeneral, key); e != nil {
			text[key], line = e.value, e.line
		}
	}
	bad := func(format string, args ...any) {
		r.fail(line, format, args...)
		sound = false
	}
	base, err := netip.ParseAddr(text["VPN_BASE_NETWORK"])
	if err != nil {
		bad("VPN_BASE_NETWORK = %s: want an address like 172.16.0.0", text["VPN_BASE_NETWORK"])
	}
	bits, err := vpn.ParseMask(text["VPN_NETMASK"])
	if err != nil {
		bad("VPN_NETMASK: %v", err)
	}
	serviceBits, err := strconv.Atoi(text["VPN_SERVICE_BITS"])
	if err != nil {
		bad("VPN_SERVICE_BITS = %s: want a number like 5", text["VPN_SERVICE_BITS"])
	}
	bootstrap := r.take(sectionGeneral, "VPN_BOOTSTRAP_NODES")
	if !sound {
		return
	}
	if c.VPN.Plan, err = vpn.NewPlan(netip.PrefixFrom(base, bits), serviceBits); err != nil {
		bad("VPN_BASE_NETWORK, VPN_NETMASK, VPN_SERVICE_BITS: %v", err)
		return
	}
	if bootstrap != nil {
		for text := range strings.SplitSeq(bootstrap.value, "\n") {
			r.bootstrapNode(c, bootstrap, text)
		}
	}
	if u := r.take(sectionDirector, "DIRECTOR_URL"); u != nil {
		r.outside(c, u, c.URL.Hostname())
	}
}

// bootstrapNode reads one line: udp://address:port, then the relay's key.
func (r *reader) bootstrapNode(c *Config, e *entry, text string) {
	fields := strings.Fields(text)
	address, udp := strings.CutPrefix(fields[0], "udp://")
	endpoint, err := netip.ParseAddrPort(address)
	if !udp || err != nil || !endpoint.Addr().Is4() || endpoint.Port() == 0 || len(fields) > 2 {
		r.fail(e.line, "%s: %q: want one udp://ADDRESS:PORT KEY per line, as cpsdirector relay line prints it; the address is IPv4", e.name, text)
		return
	}
	if len(fields) < 2 {
		r.fail(e.line, "%s: udp://%s has no key, by which machines register with the relay; cpsdirector relay line prints the line with it", e.name, endpoint)
		return
	}
	if key, err := base64.StdEncoding.Strict().DecodeString(fields[1]); err != nil || len(key) != 32 {
		r.fail(e.line, "%s: %q: the key is no WireGuard public key (44 characters)", e.name, text)
		return
	}
	node := BootstrapNode{Endpoint: endpoint, Key: api.OverlayKey(fields[1])}
	for _, b := range c.VPN.Bootstrap {
		switch {
		case b.Endpoint == endpoint:
			r.fail(e.line, "%s: %s is named twice", e.name, endpoint)
		case b.Key == node.Key:
			r.fail(e.line, "%s: %s has the key of %s; every relay has a folder and a key of its own", e.name, endpoint, b.Endpoint)
		}
	}
	r.outside(c, e, endpoint.Addr().String())
	c.VPN.Bootstrap = append(c.VPN.Bootstrap, node)
}

// outside refuses an address of the underlay that lies in the overlay: machines would look for it in the wrong network.
func (r *reader) outside(c *Config, e *entry, host string) {
	a, err := netip.ParseAddr(host)
	if err == nil && c.VPN.Plan.Prefix().Contains(a.Unmap()) {
		r.fail(e.line, "%s: %s lies in the overlay network %s, where machines could not reach it; choose another VPN_BASE_NETWORK", e.name, a, c.VPN.Plan.Prefix())
	}
}

// isHost tells whether s is an address or can be the name of a host.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}
