package userns

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"conpaas/client/api"
)

// least is how many subordinate ids a user must have, so that machines have the usual ones up to nobody.
const least = 65535

// Checks tells what an ordinary user needs of this host for the namespaces, inside and outside of them.
func Checks(ctx context.Context) []api.Check {
	var checks []api.Check
	add := func(name string, err error, good string) {
		c := api.Check{Name: name, OK: err == nil, Detail: good}
		if err != nil {
			c.Detail = err.Error()
		}
		checks = append(checks, c)
	}
	add("user namespaces", allowed("/proc/sys"), "ordinary users may make them")
	add("newuidmap", programs("uidmap", "newuidmap", "newgidmap"), "installed")
	name, err := owner()
	if err == nil {
		err = subordinate("/etc", name)
	}
	add("subordinate ids", err, name+" has enough in /etc/subuid and /etc/subgid")
	add("util-linux", recent(ctx), "unshare maps subordinate ids")
	return checks
}

// allowed looks at the settings by which hosts forbid user namespaces to ordinary users.
func allowed(sys string) error {
	for _, s := range []struct{ name, forbids, remedy string }{
		{"user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"},
		{"kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
	} {
		text, err := os.ReadFile(sys + "/" + s.name)
		if err == nil && strings.TrimSpace(string(text)) == s.forbids { // a kernel without the setting does not forbid
			return fmt.Errorf("the host forbids them to ordinary users; as root: %s (for every boot: in a file of /etc/sysctl.d)", s.remedy)
		}
	}
	if _, err := os.Stat(sys + "/user/max_user_namespaces"); err != nil {
		return fmt.Errorf("the kernel has none (CONFIG_USER_NS): %w", err)
	}
	return nil
}

func programs(pkg string, names ...string) error {
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s is not installed; as root: apt-get install %s", name, pkg)
		}
	}
	return nil
}

// owner gives the name of the user who started the program, outside of all namespaces that Enter made.
func owner() (string, error) {
	uid := os.Geteuid()
	if _, inside := Inside(); inside {
		text, err := os.ReadFile("/proc/self/uid_map")
		if err != nil {
			return "", fmt.Errorf("find out who runs this: %w", err)
		}
		if _, err := fmt.Sscan(string(text), new(int), &uid); err != nil {
			return "", fmt.Errorf("find out who runs this: /proc/self/uid_map: %w", err)
		}
	}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return "", fmt.Errorf("newuidmap needs the name of the user: %w", err)
	}
	return u.Username, nil
}

// subordinate looks for the ids that a user may give to others in a namespace of the user's own, subuid(5).
func subordinate(etc, name string) error {
	for _, file := range []string{"subuid", "subgid"} {
		text, err := os.ReadFile(etc + "/" + file)
		if err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("find the subordinate ids: %w", err)
		}
		count := 0
		for line := range strings.Lines(string(text)) {
			if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 3 && f[0] == name {
				count, _ = strconv.Atoi(f[2]) // unshare takes the first line as well
				break
			}
		}
		if count < least {
			return fmt.Errorf("%s/%s gives %s %d ids, not %d; as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s (ids that nobody else has)", etc, file, name, count, least+1, name)
		}
	}
	return nil
}

// recent looks for an unshare that maps subordinate ids.
func recent(ctx context.Context) error {
	if err := programs("util-linux", "unshare", "nsenter", "flock"); err != nil {
		return err
	}
	text, err := exec.CommandContext(ctx, "unshare", "--help").Output()
	if err != nil || !strings.Contains(string(text), "--map-auto") {
		return fmt.Errorf("unshare does not know --map-auto; util-linux 2.38 or newer is needed, as in Debian 12")
	}
	return nil
}
