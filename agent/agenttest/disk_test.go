package agenttest_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/agent/agenttest"
	"conpaas/agent/host/hosttest"
	"conpaas/client/api"
)

// smallDisk makes a root on a disk of its own, and a way to fill the disk and to free it.
func smallDisk(t *testing.T) (root string, fill, free func()) {
	t.Helper()
	root = hosttest.Root(t)
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=4m,mode=755"); err != nil {
		t.Fatalf("mount a small disk (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(root, "filler")
	fill = func() {
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for size := 1 << 16; size > 0; {
			if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
				size /= 2
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, fill, func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
}

// With a full disk an agent refuses new specs and goes on with the one it has, restarts of itself included.
func TestFullDisk(t *testing.T) {
	root, fill, free := smallDisk(t)
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	a := agenttest.Start(t, p, agenttest.Options{Node: "n2", Root: root})
	p.AwaitConnected(t, "n2")
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), p.Spec(t, "n2", "Hello", port)); err != nil {
		t.Fatal(err)
	}
	pids := p.AwaitReady(t, "n2", 1).Roles[0].PIDs
	fill()
	spec := p.Spec(t, "n2", strings.Repeat("too much ", 400), port)
	spec.Revision = 2
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); api.CodeFrom(err) != api.CodeFull || !strings.Contains(err.Error(), "the disk of this node is full") {
		t.Errorf("a spec that cannot be stored: %v; want %s and the reason", err, api.CodeFull)
	}
	newer := p.Epoch()
	newer.Fence++
	if _, err := p.Client("n2").FindBlob(t.Context(), newer, strings.Repeat("0", 64)); api.CodeFrom(err) != api.CodeFull {
		t.Errorf("an epoch that cannot be stored: %v, want %s", err, api.CodeFull)
	}
	page(t, p, "n2")
	a.Stop(t)
	page(t, p, "n2")
	agenttest.Start(t, p, agenttest.Options{Node: "n2", Root: root})
	if s := p.AwaitReady(t, "n2", 1); !slices.Equal(s.Roles[0].PIDs, pids) {
		t.Errorf("the page is served by %v; want %v as before", s.Roles[0].PIDs, pids)
	}
	free()
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); err != nil {
		t.Fatal(err)
	}
	p.AwaitReady(t, "n2", 2)
}

// A full folder for temporary files, which an agent does not use, is not even noticed.
func TestFullTemporaryFolder(t *testing.T) {
	dir, fill, _ := smallDisk(t)
	t.Setenv("TMPDIR", dir)
	fill()
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	agenttest.Start(t, p, agenttest.Options{Node: "n2", Root: hosttest.Root(t)})
	p.AwaitConnected(t, "n2")
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), p.Spec(t, "n2", "Hello", port)); err != nil {
		t.Fatal(err)
	}
	p.AwaitReady(t, "n2", 1)
	page(t, p, "n2")
}
