package mount_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/mount"
)

// TestClear mounts upon mounts, also on names with spaces and twice on one place, and takes all of them away but the
// neighbour's.
func TestClear(t *testing.T) {
	top := t.TempDir()
	ours, neighbour := filepath.Join(top, "a b"), filepath.Join(top, "a b c")
	inner := filepath.Join(ours, "inner")
	for _, dir := range []string{neighbour, ours, inner, inner} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
			t.Fatal(err)
		}
	}
	gone, err := mount.Clear(ours)
	if want := []string{inner, inner, ours}; err != nil || !slices.Equal(gone, want) {
		t.Errorf("cleared %q, %v; want %q", gone, err, want)
	}
	if left, err := mount.Under(top); err != nil || !slices.Equal(left, []string{neighbour}) {
		t.Errorf("left are %q, %v", left, err)
	}
	if is, err := mount.Is(neighbour); err != nil || !is {
		t.Errorf("the neighbour's mount is gone: %v", err)
	}
	for range 2 { // the second time nothing is mounted there
		if err := mount.Unmount(neighbour); err != nil {
			t.Error(err)
		}
	}
	if err := mount.Unmount(filepath.Join(top, "missing")); err != nil {
		t.Error(err)
	}
}

// TestBusy: a mount in use is an error, not forgotten.
func TestBusy(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "open"))
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := mount.Clear(dir); err == nil {
		t.Errorf("cleared %q although a file is open there", gone)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := mount.Clear(dir); err != nil {
		t.Error(err)
	}
}
