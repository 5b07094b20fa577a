//go:build linux

package proc

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const whoami = `id -u; id -g; id -G; grep NoNewPrivs /proc/self/status; cd . && pwd`

// report runs whoami as a user and gives what it says, a line per word.
func report(dir string, user User) (string, error) {
	s := shell(whoami)
	s.Log, s.User = filepath.Join(dir, "log"), user
	p, err := Start(filepath.Join(dir, "state"), s)
	if err != nil {
		return "", err
	}
	defer p.Release()
	<-p.Done()
	text, err := os.ReadFile(s.Log)
	return strings.Join(strings.Fields(string(text)), " "), err
}

func TestUserOfAProgram(t *testing.T) {
	for _, c := range []struct {
		user User
		want string
	}{
		{User{UID: 12345, GID: 54321}, "12345 54321 54321 NoNewPrivs: 1 /"},
		{User{UID: 12345, GID: 54321, Groups: []int{7, 9}}, "12345 54321 54321 7 9 NoNewPrivs: 1 /"},
		{User{GID: 54321}, "0 54321 54321 NoNewPrivs: 1 /"},
	} {
		if got, err := report(t.TempDir(), c.user); err != nil || got != c.want {
			t.Errorf("%+v: %q, %v; want %q", c.user, got, err, c.want)
		}
	}
	// The starter itself is as before: its own programs may still change their user.
	if got, err := report(t.TempDir(), User{}); err != nil || !strings.Contains(got, "NoNewPrivs: 0") || !strings.HasPrefix(got, "0 0 ") {
		t.Errorf("the starter's own user: %q, %v", got, err)
	}
	one, other := shell("true"), shell("true")
	if other.User.Groups = []int{7}; one.hash() == other.hash() {
		t.Error("a change of the groups is not seen")
	}
}

// In a container of a user namespace it is the same, and where the namespace lets nobody choose groups that is said.
func TestUserInsideAUserNamespace(t *testing.T) {
	for _, c := range []struct {
		setgroups    bool
		plain, group string
	}{
		{true, "12345 54321 54321 NoNewPrivs: 1 /", "12345 54321 54321 7 NoNewPrivs: 1 /"},
		{false, "12345 54321 54321", "map a range of groups into it"},
	} {
		command := exec.Command(os.Args[0], "-inside", t.TempDir())
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
		command.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: c.setgroups,
		}
		out, err := command.CombinedOutput()
		plain, group, _ := strings.Cut(string(out), "\n")
		if err != nil || !strings.HasPrefix(plain, c.plain) || !strings.Contains(group, c.group) {
			t.Errorf("setgroups %t: %s, %v; want %q and %q", c.setgroups, out, err, c.plain, c.group)
		}
	}
}

// inside is the process in the namespace: a line for a user without groups, one for a user with some.
func inside(dir string) string {
	var lines []string
	for _, groups := range [][]int{nil, {7}} {
		text, err := report(dir, User{UID: 12345, GID: 54321, Groups: groups})
		if err != nil {
			text = err.Error()
		}
		lines = append(lines, text)
		_ = os.Remove(filepath.Join(dir, "log"))
	}
	return strings.Join(lines, "\n")
}

// What a dead leader has left is ended by name; a living program is not.
func TestEndLeftovers(t *testing.T) {
	file := stateFile(t)
	children := filepath.Join(t.TempDir(), "children")
	p, err := Start(file, shell("sleep 100000 & echo $! > "+children+"; exec sleep 100000"))
	if err != nil {
		t.Fatal(err)
	}
	child := pids(t, children, 1)[0]
	if err := EndLeftovers(t.Context(), file); !errors.Is(err, ErrRunning) || !lives(child) {
		t.Errorf("of a living program: %v", err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	p.Release()
	for range 2 { // the second time there is nothing
		if err := EndLeftovers(t.Context(), file); err != nil || lives(child) {
			t.Errorf("process %d lives: %t, %v", child, lives(child), err)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state file is still there: %v", err)
	}
}
