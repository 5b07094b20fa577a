package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// command gives the program of an errand, with those of util-linux before it that bound it and make it its user's: the shell around
// it stays the agent's own, and with it what is written of its end.
func (e Errand) command() ([]string, error) {
	var all []string
	if e.Victim {
		all = append(all, "choom", "-n", "1000", "--")
	}
	if e.Processes > 0 || e.Files > 0 {
		all = append(all, "prlimit", "--core=0")
		for _, l := range []struct {
			name     string
			resource int
			most     int
		}{{"nproc", unix.RLIMIT_NPROC, e.Processes}, {"nofile", unix.RLIMIT_NOFILE, e.Files}} {
			if l.most == 0 {
				continue
			}
			most, err := lowered(l.resource, uint64(l.most))
			if err != nil {
				return nil, err
			}
			all = append(all, fmt.Sprintf("--%s=%d", l.name, most))
		}
	}
	if !e.User.root() {
		groups, err := groupOptions(e.User)
		if err != nil {
			return nil, err
		}
		all = append(all, "setpriv", "--reuid", strconv.Itoa(e.User.UID), "--regid", strconv.Itoa(e.User.GID), groups, "--no-new-privs")
	}
	return append(append(all, e.Path), e.Args...), nil
}

// lowered gives a limit that needs no privilege: not more than there is.
func lowered(resource int, most uint64) (uint64, error) {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return 0, fmt.Errorf("limits of programs: %w", err)
	}
	return min(most, now.Max), nil
}

// groupOptions lets go of the agent's groups where that is allowed (user_namespaces(7)); elsewhere the agent has none that matter.
func groupOptions(u User) (string, error) {
	if len(u.Groups) > 0 {
		return "", fmt.Errorf("user %d is in the groups %v, and an errand's user has none", u.UID, u.Groups)
	}
	text, err := os.ReadFile("/proc/self/setgroups")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find out whether groups may be chosen: %w", err)
	}
	if bytes.Equal(bytes.TrimSpace(text), []byte("deny")) {
		return "--keep-groups", nil
	}
	return "--clear-groups", nil
}
