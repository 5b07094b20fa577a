package local_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/userns"
	"conpaas/director/cloud/local/userns/usernstest"
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
	if err := userns.Enter(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// ordinary is a user of this host with the test binary.
type ordinary struct {
	usernstest.User
	program string
}

func newOrdinary(t *testing.T) ordinary {
	t.Helper()
	u := ordinary{User: usernstest.New(t)}
	u.program = filepath.Join(u.Dir, "director")
	copyProgram(t, os.Args[0], u.program)
	return u
}

// inside is the test binary as the user runs it, in the user's namespace.
func (u ordinary) inside(job string, args ...string) *exec.Cmd {
	return u.Command([]string{asUser + "=" + filepath.Join(u.Dir, "data"), crashJob + "=" + job}, u.program, args...)
}

// leave ends the user's namespace, in which there must be nobody any more.
func (u ordinary) leave(t *testing.T) {
	t.Helper()
	out, err := u.inside(`{"Work":"leave"}`).CombinedOutput()
	if err != nil || strings.Count(string(out), "\n") != 2 || !strings.Contains(string(out), "which held the user namespace") {
		t.Errorf("the namespace was left with %v: %s", err, out)
	}
}

// TestOrdinaryUser runs the tests of containers as an ordinary user: the rules of all clouds, crashes at every place,
// cleaning, the network, and what machines may do.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	u := newOrdinary(t)
	const tests = "^Test(Conformance|Crash|Clean|CleanCrash|Death|HostRestart|KilledInCreate|NetworkLost|Orphans|Publish.*|Apart|DirectorInside|HostNetwork|Image.*|Inside|VolumeCrash|VolumeBusy|VolumeHostRestart)$/^container$"
	out, err := u.inside("", "-test.v", "-test.run", tests).CombinedOutput()
	if err != nil || strings.Count(string(out), "\n--- PASS: Test") != 24 {
		t.Errorf("%v: %s", err, out)
	}
	u.leave(t)
}

// TestOrdinaryUserVM does so with virtual machines.
func TestOrdinaryUserVM(t *testing.T) {
	t.Parallel()
	u := newOrdinary(t)
	out, err := u.inside("", "-test.v", "-test.run", "^Test(Conformance|Crash)$/^vm$").CombinedOutput()
	if err != nil || strings.Count(string(out), "\n--- PASS: Test") != 2 {
		t.Errorf("%v: %s", err, out)
	}
	u.leave(t)
}

// TestOrdinaryUserLimits: what cannot be kept without control groups is refused, not forgotten.
func TestOrdinaryUserLimits(t *testing.T) {
	t.Parallel()
	u := newOrdinary(t)
	job := `{"Work":"limits","Dir":"` + filepath.Join(u.Dir, "data", "cloud") + `","Options":{"ROOTFS":"` + u.Dir + `"}}`
	out, err := u.inside(job).CombinedOutput()
	if err != nil || strings.Count(string(out), "cannot be kept") != 5 {
		t.Errorf("limits were not refused 5 times: %v: %s", err, out)
	}
	u.leave(t)
}

// TestOtherOwner: root does not take the machines of an ordinary user for its own, which would run as root then.
func TestOtherOwner(t *testing.T) {
	t.Parallel()
	u := newOrdinary(t)
	c := configuration(t, nil)
	c.Dir = filepath.Join(u.Dir, "cloud")
	if out, err := u.Command(nil, "/bin/mkdir", c.Dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l := open(t, c)
	err := l.Start(t.Context())
	if cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), "as that user") {
		t.Errorf("start: %v", err)
	}
	if _, err := l.Clean(t.Context()); !strings.Contains(fmt.Sprint(err), "as that user") {
		t.Errorf("clean: %v", err)
	}
}
