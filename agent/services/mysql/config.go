package mysql

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"conpaas/agent/service"
	"conpaas/agent/services/conf"
	"conpaas/client/api"
)

// What is let through is a plain word in every configuration that it goes into.
var (
	plainPath   = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)
	plainNode   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)
	clusterName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,31}$`)
	shorthand   = regexp.MustCompile(`^([0-9]{1,10})([KMG]?)$`)
)

// Bounds of configurations.
const (
	maxServers  = 1024
	maxPassword = 512
)

// wanted are the roles of the machine; nil for one that it does not have.
type wanted struct {
	server *api.MySQLConfig
	proxy  *api.MySQLProxyConfig
	broken []api.Role // whose configuration is wrong
}

// decodeAll reads the configurations, which may be hostile.
func decodeAll(roles []api.RoleSpec, n service.Node, fail func(api.Role, error)) wanted {
	var w wanted
	for _, r := range roles {
		var err error
		switch r.Role {
		case api.RoleMySQL:
			w.server, err = conf.Decode(r, n, checkServer)
		case api.RoleGLB:
			w.proxy, err = conf.Decode(r, n, checkProxy)
		default:
			err = fmt.Errorf("service type %s has no role %.40q; it has %q and %q", api.MySQL, r.Role, api.RoleMySQL, api.RoleGLB)
		}
		if err != nil {
			w.broken = append(w.broken, r.Role)
			fail(r.Role, err)
		}
	}
	return w
}

func checkServer(c api.MySQLConfig, n service.Node) error {
	if !clusterName.MatchString(c.Cluster) {
		return fmt.Errorf("%.80q is no name of a cluster", c.Cluster)
	}
	if !plainNode.MatchString(string(n.ID)) {
		return fmt.Errorf("%.80q is no node id", n.ID)
	}
	for _, a := range []netip.AddrPort{c.Listen, c.Check} {
		if err := conf.CheckListen(a, n); err != nil {
			return err
		}
	}
	if len(c.Members) > maxServers || !slices.Contains(c.Members, c.Listen.Addr()) {
		return fmt.Errorf("it names %d machines of the cluster; at most %d are allowed, and this one must be among them", len(c.Members), maxServers)
	}
	for _, a := range c.Members {
		if err := conf.CheckAddress(netip.AddrPortFrom(a, c.Listen.Port())); err != nil {
			return err
		}
	}
	if c.Bootstrap != 0 {
		if _, err := parsePosition(c.From); err != nil {
			return err
		}
	}
	if p := c.Password.Reveal(); len(p) == 0 || len(p) > maxPassword || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("the password is not 1 to %d printable characters", maxPassword)
	}
	_, err := readSettings(c.Settings)
	return err
}

func checkProxy(c api.MySQLProxyConfig, n service.Node) error {
	if err := conf.CheckListen(c.Listen, n); err != nil {
		return err
	}
	if c.Check == 0 {
		return fmt.Errorf("it names no port of the check program")
	}
	if len(c.Servers) > maxServers {
		return fmt.Errorf("it names %d servers; at most %d are allowed", len(c.Servers), maxServers)
	}
	seen := map[api.NodeID]bool{}
	for _, s := range c.Servers {
		if !plainNode.MatchString(string(s.Node)) || seen[s.Node] {
			return fmt.Errorf("%.80q is no node id, or comes twice", s.Node)
		}
		seen[s.Node] = true
		if err := conf.CheckAddress(s.Address); err != nil {
			return fmt.Errorf("server %s: %w", s.Node, err)
		}
	}
	return nil
}

// settings are those of the server, as numbers that it takes in its configuration and while it runs.
type settings struct {
	bufferPool, connections, packet, long int64
	slow                                  bool
}

// readSettings checks for the machine what the director has checked for its user.
func readSettings(given map[string]string) (settings, error) {
	var s settings
	for _, setting := range []struct {
		name        string
		into        *int64
		usual       string
		least, most int64
	}{
		{"innodb_buffer_pool_size", &s.bufferPool, "128M", 5 << 20, 64 << 30},
		{"max_connections", &s.connections, "151", 10, 4000},
		{"max_allowed_packet", &s.packet, "64M", 1 << 20, 1 << 30},
		{"long_query_time", &s.long, "10", 1, 3600},
	} {
		text, ok := given[setting.name]
		if !ok {
			text = setting.usual
		}
		m := shorthand.FindStringSubmatch(text)
		if m == nil {
			return s, fmt.Errorf("setting %s cannot be %.80q", setting.name, text)
		}
		n, _ := strconv.ParseInt(m[1], 10, 64) // ten digits always fit
		n <<= map[string]int{"": 0, "K": 10, "M": 20, "G": 30}[m[2]]
		if n < setting.least || n > setting.most {
			return s, fmt.Errorf("setting %s cannot be %.80q", setting.name, text)
		}
		*setting.into = n
	}
	switch given["slow_query_log"] {
	case api.SwitchOn:
		s.slow = true
	case api.SwitchOff, "":
	default:
		return s, fmt.Errorf("setting slow_query_log cannot be %.80q", given["slow_query_log"])
	}
	return s, nil
}
