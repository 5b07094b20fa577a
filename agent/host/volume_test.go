package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/agent/host/hosttest"
)

// device makes a block device of some MiB, blank but for its beginning.
func device(t *testing.T, begins string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, []byte(begins), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 16<<20); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		t.Fatalf("make a block device (needs root): %v", err)
	}
	name := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", name).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return name
}

// TestMount: a blank device gets a file system once, also when that was cut off before; what is written stays, and what programs use is
// not unmounted.
func TestMount(t *testing.T) {
	for name, begins := range map[string]string{"blank": "", "cut off": "conpaas: a file system is being made\n" + strings.Repeat("x", 9000)} {
		t.Run(name, func(t *testing.T) {
			const at = "/var/lib/conpaas/volumes/data"
			h, disk := hosttest.New(t), device(t, begins)
			inside := filepath.Join(h.Root(), at)
			t.Cleanup(func() { _ = unix.Unmount(inside, unix.MNT_DETACH) })
			for range 2 { // the second time there is nothing to do
				if err := h.Mount(t.Context(), disk, at); err != nil {
					t.Fatal(err)
				}
			}
			if is, err := h.Mounted(at); err != nil || !is {
				t.Errorf("mounted: %t, %v", is, err)
			}
			f, err := os.Create(filepath.Join(inside, "file"))
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Unmount(at); err == nil || !strings.Contains(err.Error(), "programs of the machine use it") {
				t.Errorf("unmounted while it is used: %v", err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := h.Unmount(at); err != nil {
					t.Fatal(err)
				}
			}
			if is, err := h.Mounted(at); err != nil || is {
				t.Errorf("mounted: %t, %v", is, err)
			}
			if err := h.Mount(t.Context(), disk, at); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(inside, "file")); err != nil {
				t.Errorf("what was written is lost: %v", err)
			}
			if err := h.Unmount(at); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMountForeign: a device with something else on it is left as it is.
func TestMountForeign(t *testing.T) {
	h, disk := hosttest.New(t), device(t, "somebody's data")
	if err := h.Mount(t.Context(), disk, "/var/lib/conpaas/volumes/data"); err == nil || !strings.Contains(err.Error(), "not blank") {
		t.Errorf("mounted: %v", err)
	}
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	begins := make([]byte, 15)
	if _, err := f.Read(begins); err != nil || string(begins) != "somebody's data" {
		t.Errorf("it begins with %q, %v", begins, err)
	}
}
