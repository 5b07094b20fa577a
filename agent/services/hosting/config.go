package hosting

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"conpaas/agent/service"
	"conpaas/agent/services/code"
	"conpaas/agent/services/conf"
	"conpaas/client/api"
)

// What is let through is a plain word in every configuration that it goes into.
var (
	plainNode = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)
	hostName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$`)
)

// Bounds of configurations.
const (
	maxServers  = 4096
	maxPassword = 512

	maxPatience   = 2 * 3600 // seconds
	usualPatience = 60
)

// wanted are the roles of the machine; nil for one that it does not have.
type wanted struct {
	proxy   *api.HostingProxyConfig
	web     *api.HostingWebConfig
	backend *api.HostingBackendConfig
	broken  []api.Role // whose configuration is wrong
}

// decodeAll reads the configurations, which may be hostile.
func (s *Half) decodeAll(roles []api.RoleSpec, n service.Node, fail func(api.Role, error)) wanted {
	var w wanted
	for _, r := range roles {
		var err error
		switch r.Role {
		case api.RoleProxy:
			w.proxy, err = conf.Decode(r, n, checkProxy)
		case api.RoleWeb:
			w.web, err = conf.Decode(r, n, checkWeb)
		case api.RoleBackend:
			w.backend, err = conf.Decode(r, n, s.checkBackend)
		default:
			err = fmt.Errorf("service type %s has no role %.40q; it has %q, %q and %q", s.kind.Type, r.Role, api.RoleProxy, api.RoleWeb, api.RoleBackend)
		}
		if err != nil {
			w.broken = append(w.broken, r.Role)
			fail(r.Role, err)
		}
	}
	return w
}

// versions gives the versions that the roles name, each once.
func (w wanted) versions() []api.CodeBlob {
	var all []api.CodeBlob
	if w.web != nil {
		all = append(all, w.web.Versions...)
	}
	if w.backend != nil {
		all = append(all, w.backend.Versions...)
	}
	slices.SortFunc(all, func(a, b api.CodeBlob) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(all, func(a, b api.CodeBlob) bool { return a.ID == b.ID })
}

func checkProxy(c api.HostingProxyConfig, n service.Node) error {
	if c.Port == 0 {
		return fmt.Errorf("it names no port")
	}
	if !code.IsVersion(c.Version) {
		return fmt.Errorf("%.80q is no id of a code version", c.Version)
	}
	if err := checkServers(c.Webs); err != nil {
		return err
	}
	if c.Sessions == nil && len(c.Holders) > 0 {
		return fmt.Errorf("it names machines that lock sessions, and no sessions")
	}
	if c.Sessions == nil {
		return nil
	}
	if err := conf.CheckListen(c.Sessions.Listen, n); err != nil {
		return err
	}
	if err := checkHolders(c.Holders); err != nil {
		return err
	}
	return checkPassword(c.Sessions.Password)
}

func checkHolders(all []api.LockHolder) error {
	if len(all) > maxServers {
		return fmt.Errorf("it names %d machines that lock sessions; at most %d are allowed", len(all), maxServers)
	}
	for _, l := range all {
		if !l.Address.Is4() || l.Address.IsUnspecified() || !hostName.MatchString(l.Name) {
			return fmt.Errorf("%.80q at %.80q is no machine that locks sessions", l.Name, l.Address.String())
		}
	}
	return nil
}

func checkPatience(seconds int) error {
	if seconds < 0 || seconds > maxPatience {
		return fmt.Errorf("it gives programs %d seconds; allowed are 1 to %d", seconds, maxPatience)
	}
	return nil
}

// Patience gives the seconds that a configuration names, or the usual ones.
func Patience(named int) int { return cmp.Or(named, usualPatience) }

func checkWeb(c api.HostingWebConfig, n service.Node) error {
	if err := conf.CheckListen(c.Listen, n); err != nil {
		return err
	}
	if err := checkServers(c.Backends); err != nil {
		return err
	}
	if err := checkPatience(c.Patience); err != nil {
		return err
	}
	return code.Check(c.Versions)
}

func (s *Half) checkBackend(c api.HostingBackendConfig, n service.Node) error {
	if err := conf.CheckListen(c.Listen, n); err != nil {
		return err
	}
	if err := conf.CheckAddress(c.Sessions.Listen); err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	if err := checkPassword(c.Sessions.Password); err != nil {
		return err
	}
	if err := checkPatience(c.Patience); err != nil {
		return err
	}
	if err := code.Check(c.Versions); err != nil {
		return err
	}
	return s.kind.Runner.Accepts(c)
}

func checkServers(all []api.Server) error {
	if len(all) > maxServers {
		return fmt.Errorf("it names %d servers; at most %d are allowed", len(all), maxServers)
	}
	seen := map[api.NodeID]bool{}
	for _, s := range all {
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

// checkPassword asks for characters that a URL and Redis have no other meaning for once they are encoded.
func checkPassword(p string) error {
	if len(p) == 0 || len(p) > maxPassword || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("the password of the sessions is not 1 to %d printable ASCII characters", maxPassword)
	}
	return nil
}
