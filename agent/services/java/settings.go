package java

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"conpaas/client/api"
)

// settings are those of the catalogue, as Tomcat takes them.
type settings struct {
	heap    int64 // bytes
	threads int
	post    int64 // bytes
}

var (
	size       = regexp.MustCompile(`^([0-9]{1,10})([KMG]?)$`)
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Bounds of environment variables: those of execve(2), and of all together.
const (
	maxEnvName  = 256
	maxEnvValue = 100 << 10
	maxEnv      = 256 << 10
)

// ownEnv are those that the agent gives itself.
var ownEnv = [...]string{"PATH", "HOME", "LANG", "CONPAAS_SESSIONS"}

// readSettings takes the settings of a service. The director has checked them for its user; here they are checked for the machine.
func readSettings(given map[string]string) (s settings, err error) {
	s = settings{heap: 128 << 20, threads: 100, post: 8 << 20}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		ok, value := true, given[name]
		switch name {
		case "max_heap":
			s.heap, ok = bytes(value, 64<<20, 64<<30)
		case "max_threads":
			s.threads, err = strconv.Atoi(value)
			ok = err == nil && 4 <= s.threads && s.threads <= 1000
		case "max_post_size":
			s.post, ok = bytes(value, 1<<10, 1<<30)
		case api.RequestTimeout: // the webs', and the bound of a lock: both are told it as Patience
		default:
			return s, fmt.Errorf("%.80q is no setting of this service", name)
		}
		if !ok {
			return s, fmt.Errorf("setting %s cannot be %.80q", name, value)
		}
	}
	return s, nil
}

func bytes(value string, least, most int64) (int64, bool) {
	m := size.FindStringSubmatch(value)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	shift := map[string]int{"": 0, "K": 10, "M": 20, "G": 30}[m[2]]
	if err != nil || n > most>>shift || n<<shift < least {
		return 0, false
	}
	return n << shift, true
}

// readEnv gives the variables as a process takes them, in order. Errors name no value: it may be a secret.
func readEnv(given map[string]api.Secret) ([]string, error) {
	var all []string
	sum := 0
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name].Reveal()
		sum += len(name) + len(value)
		switch {
		case len(name) > maxEnvName || !identifier.MatchString(name) || slices.Contains(ownEnv[:], name) || strings.HasPrefix(name, "LD_"):
			return nil, fmt.Errorf("%.80q is no name of an environment variable that can be set", name)
		case len(value) > maxEnvValue || strings.ContainsRune(value, 0):
			return nil, fmt.Errorf("environment variable %s: a process can be given at most %d bytes without a NUL", name, maxEnvValue)
		case sum > maxEnv:
			return nil, fmt.Errorf("the environment variables have more than %d bytes", maxEnv)
		}
		all = append(all, name+"="+value)
	}
	return all, nil
}

// Accepts implements hosting.Runner.
func (*runner) Accepts(c api.HostingBackendConfig) error {
	if _, err := readSettings(c.Settings); err != nil {
		return err
	}
	_, err := readEnv(c.Env)
	return err
}
