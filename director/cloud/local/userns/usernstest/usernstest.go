// Package usernstest makes ordinary users of this host for tests, which must be run by root.
//
// It knows nothing of what such a user runs.
package usernstest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// User is an ordinary user with a directory of its own. Others may look into it.
type User struct{ Name, Dir string }

// New makes a user with subordinate ids, and removes it at the end of the test, which the host refuses while a process of
// the user is left.
func New(t testing.TB) User {
	t.Helper()
	dir, err := os.MkdirTemp("", "cps-user-")
	if err != nil {
		t.Fatal(err)
	}
	u := User{Name: filepath.Base(dir), Dir: dir}
	tun := u.tun()
	// Hosts have the TUN device open to all or closed; this user sees one that is open.
	err = errors.Join(unix.Mknod(tun, unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))), os.Chmod(tun, 0o666), os.Chmod(dir, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	run(t, "useradd", "--no-create-home", "--home-dir", dir, "--shell", "/bin/sh", u.Name)
	run(t, "chown", u.Name+":"+u.Name, dir)
	t.Cleanup(func() {
		if t.Failed() { // what it has left is in the way of later tests
			_ = exec.Command("setpriv", "--reuid", u.Name, "--clear-groups", "--", "/bin/sh", "-c", "kill -9 -1").Run()
		}
		u.remove(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return u
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %q: %v: %s", name, args, err, out)
	}
}

// remove removes the user. Processes that have ended may wait a moment for their parent, and count until then.
func (u User) remove(t testing.TB) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(10 * time.Second); ; {
		out, err := exec.Command("userdel", u.Name).CombinedOutput()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Errorf("userdel %s: %v: %s", u.Name, err, out)
			return
		}
	}
}

func (u User) tun() string { return filepath.Join(u.Dir, "tun") }

// Command is a program as the user runs it, in the user's directory. Its process is the program's.
func (u User) Command(env []string, program string, args ...string) *exec.Cmd {
	const become = `mount --bind "$1" /dev/net/tun && user=$2 && shift 2 && exec setpriv --reuid "$user" --regid "$user" --clear-groups -- "$@"`
	c := exec.Command("unshare", append([]string{"--mount", "--", "/bin/sh", "-c", become, "sh", u.tun(), u.Name, program}, args...)...)
	c.Dir = u.Dir
	c.Env = append(append(os.Environ(), "HOME="+u.Dir, "USER="+u.Name, "TMPDIR="+u.Dir), env...)
	return c
}
