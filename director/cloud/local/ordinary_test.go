package local_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/userns"
)

// asUser names the environment variable that lets the test binary, run by an ordinary user, enter the namespace that
// belongs to a directory.
const asUser = "CONPAAS_TEST_NAMESPACE"

// enterNamespace does that.
func enterNamespace() {
	dir := os.Getenv(asUser)
	if dir == "" {
		return
	}
	if err := userns.Enter(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// ordinary is a user of this host, made for one test, with a directory.
type ordinary struct{ name, dir string }

// newOrdinary makes the user; the test removes the user again, which the host refuses while there are processes.
func newOrdinary(t *testing.T) ordinary {
	t.Helper()
	u := ordinary{name: fmt.Sprint("cps-test-", os.Getpid()), dir: t.TempDir()}
	must := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	must("useradd", "--no-create-home", "--home-dir", u.dir, "--shell", "/bin/sh", u.name)
	t.Cleanup(func() {
		if out, err := exec.Command("userdel", u.name).CombinedOutput(); err != nil {
			t.Errorf("userdel: %v: %s", err, out)
		}
	})
	copyProgram(t, os.Args[0], filepath.Join(u.dir, "director"))
	// Hosts have the TUN device open to all or closed; the user sees one that is open.
	err := errors.Join(os.Mkdir(filepath.Join(u.dir, "tmp"), 0o700), os.Chmod(filepath.Dir(u.dir), 0o755), os.Chmod(u.dir, 0o755),
		unix.Mknod(filepath.Join(u.dir, "tun"), unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))), os.Chmod(filepath.Join(u.dir, "tun"), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	must("chown", "-R", u.name, filepath.Join(u.dir, "tmp"))
	return u
}

// command is the test binary as the user runs it.
func (u ordinary) command(env []string, args ...string) *exec.Cmd {
	const become = `mount --bind "$1/tun" /dev/net/tun && cd "$1/tmp" && user=$2 && shift 2 && exec setpriv --reuid "$user" --regid "$user" --clear-groups -- "$@"`
	c := exec.Command("unshare", append([]string{"--mount", "--", "/bin/sh", "-c", become, "sh", u.dir, u.name, filepath.Join(u.dir, "director")}, args...)...)
	c.Env = append(append(os.Environ(), "TMPDIR="+filepath.Join(u.dir, "tmp"), "HOME="+u.dir), env...)
	return c
}

// TestOrdinaryUser runs the tests of containers as an ordinary user.
func TestOrdinaryUser(t *testing.T) {
	u := newOrdinary(t)
	space := filepath.Join(u.dir, "tmp", "space")
	out, err := u.command([]string{asUser + "=" + space}, "-test.v", "-test.run", os.Getenv("ORD_RUN"), "-test.skip", "TestOrdinaryUser|process").CombinedOutput()
	if err != nil || strings.Contains(string(out), "no tests to run") {
		t.Errorf("%v: %s", err, out)
	}
	out, err = u.command([]string{asUser + "=" + space, crashJob + `={"Work":"leave"}`}).CombinedOutput()
	if err != nil || strings.Count(string(out), "\n") != 2 || !strings.Contains(string(out), "which held the user namespace") {
		t.Errorf("left with %v: %s", err, out)
	}
}
