package cgroup_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"conpaas/director/cloud/local/cgroup"
	"conpaas/director/cloud/local/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// group makes a group of this test that is removed at its end.
func group(t *testing.T) (cgroup.Hierarchies, string, string) {
	t.Helper()
	h, err := cgroup.Find()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("/", filepath.Base(filepath.Dir(t.TempDir()))+"-"+t.Name())
	dir, err := h.Make(path + "/inner")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := h.Remove(path)
		if err != nil {
			t.Error(err)
		}
		for _, root := range h {
			if _, err := os.Stat(filepath.Join(root, path)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s%s is still there: %v", root, path, err)
			}
		}
	})
	return h, path, dir
}

// run starts a shell script in a group and gives the pids that the group then holds.
func run(t *testing.T, h cgroup.Hierarchies, path, dir, script string, processes int) []int {
	t.Helper()
	c := exec.Command("/bin/sh", "-c", `echo $$ > "$0/cgroup.procs" && `+script, dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Wait() })
	for {
		pids, err := h.Processes(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(pids) >= processes {
			return pids
		}
	}
}

// TestKill ends a group whose processes have sessions of their own, ignore signals and start others all the time.
func TestKill(t *testing.T) {
	h, path, dir := group(t)
	script := `trap '' TERM INT HUP; setsid sleep 3600 & setsid sh -c 'while :; do sleep 0.01; done' & sleep 3600`
	pids := run(t, h, path, dir, script, 4)
	if err := h.Kill(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if s, err := task.Read(pid); err == nil && s.State != 'Z' {
			t.Errorf("process %d is %c", pid, s.State)
		}
	}
	if left, err := h.Processes(path); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// TestKillFrozen ends a group that is frozen.
func TestKillFrozen(t *testing.T) {
	h, path, dir := group(t)
	run(t, h, path, dir, "exec sleep 3600", 1)
	if err := os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Kill(t.Context(), path); err != nil {
		t.Fatal(err)
	}
}

// TestKillCancelled gives up when the context ends.
func TestKillCancelled(t *testing.T) {
	h, path, dir := group(t)
	run(t, h, path, dir, "exec sleep 3600", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Kill(ctx, path); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("kill with a cancelled context: %v", err)
	}
	if err := h.Kill(t.Context(), path); err != nil {
		t.Fatal(err)
	}
}

// TestRemove refuses a group in use and any path that would mean the whole host.
func TestRemove(t *testing.T) {
	h, path, dir := group(t)
	run(t, h, path, dir, "exec sleep 3600", 1)
	if gone, err := h.Remove(path); err == nil || slices.Contains(gone, dir) {
		t.Errorf("removed %q of a group in use, %v", gone, err)
	}
	if err := h.Kill(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"", "/"} {
		if pids, err := h.Processes(root); err == nil {
			t.Errorf("the root group has our processes %v", pids)
		}
		if err := h.Kill(t.Context(), root); err == nil {
			t.Errorf("kill of the group %q is allowed", root)
		}
		if _, err := h.Remove(root); err == nil {
			t.Errorf("remove of the group %q is allowed", root)
		}
	}
}
