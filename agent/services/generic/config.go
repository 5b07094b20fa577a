package generic

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"conpaas/agent/service"
	"conpaas/agent/services/code"
	"conpaas/client/api"
)

// What is let through is a plain word for every program.
var (
	plainNode = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)
	envName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)
)

// Bounds of configurations.
const (
	maxMembers = 65536
	maxEnv     = 256 << 10 // bytes of all variables
	maxTimeout = 30 * 24 * 3600
)

// decode reads the configuration of the one role of a machine, which may be hostile.
func decode(roles []api.RoleSpec, n service.Node) (role api.Role, c api.GenericConfig, err error) {
	role = roles[0].Role
	if len(roles) > 1 {
		return role, c, fmt.Errorf("a machine has one role of service type %s, and not %d", api.Generic, len(roles))
	}
	if role != api.RoleMaster && role != api.RoleNode {
		return role, c, fmt.Errorf("service type %s has no role %.40q; it has %q and %q", api.Generic, role, api.RoleMaster, api.RoleNode)
	}
	if err = json.Unmarshal(roles[0].Config, &c); err == nil {
		err = check(c, role, n)
	}
	if err != nil {
		err = fmt.Errorf("configuration of role %s: %w", role, err)
	}
	return role, c, err
}

func check(c api.GenericConfig, role api.Role, n service.Node) error {
	if !n.Active {
		return fmt.Errorf("this machine has no network with the others (runtime process is for tests and benchmarks); use runtime container or another cloud")
	}
	if err := code.Check(c.Versions); err != nil {
		return err
	}
	if !slices.ContainsFunc(c.Versions, func(v api.CodeBlob) bool { return v.ID == c.Version }) {
		return fmt.Errorf("version %.80q is not among those that it names", c.Version)
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		return fmt.Errorf("it gives scripts %d seconds; allowed are 0 to %d", c.Timeout, maxTimeout)
	}
	if err := checkMembers(c.Members, role, n); err != nil {
		return err
	}
	if err := checkEnv(c.Env); err != nil {
		return err
	}
	return checkCommand(c.Command)
}

func checkMembers(all []api.GenericMember, role api.Role, n service.Node) error {
	if len(all) > maxMembers {
		return fmt.Errorf("it names %d members; at most %d are allowed", len(all), maxMembers)
	}
	own := false
	for _, m := range all {
		if !plainNode.MatchString(string(m.ID)) || !m.IP.Is4() || m.Role != api.RoleMaster && m.Role != api.RoleNode {
			return fmt.Errorf("%.80q at %.80q is no member", m.ID, m.IP.String())
		}
		own = own || m.ID == n.ID && m.IP == n.Address && m.Role == role
	}
	if !own {
		return fmt.Errorf("this machine, %s at %s, is not among its members", n.ID, n.Address)
	}
	return nil
}

// checkEnv names no value: it may be a secret.
func checkEnv(env map[string]api.Secret) error {
	size := 0
	for _, name := range slices.Sorted(maps.Keys(env)) {
		size += len(name) + len(env[name])
		if !envName.MatchString(name) || strings.ContainsRune(env[name].Reveal(), 0) {
			return fmt.Errorf("%.80q is no environment variable that can be set", name)
		}
	}
	if size > maxEnv {
		return fmt.Errorf("the environment variables have more than %d bytes", maxEnv)
	}
	return nil
}

func checkCommand(c *api.Command) error {
	if c == nil {
		return nil
	}
	if c.Name != api.GenericRun && c.Name != api.GenericInterrupt && c.Name != api.GenericCleanup {
		return fmt.Errorf("there is no command %.40q", c.Name)
	}
	size := 0
	for _, p := range c.Parameters {
		size += len(p)
		if strings.ContainsRune(p, 0) {
			return fmt.Errorf("a parameter of %s holds a NUL byte", c.Name)
		}
	}
	if len(c.Parameters) > api.MaxCommandParams || size > api.MaxCommandBytes {
		return fmt.Errorf("%s has %d parameters of %d bytes; at most %d of %d bytes together are allowed", c.Name, len(c.Parameters), size, api.MaxCommandParams, api.MaxCommandBytes)
	}
	return nil
}
