package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A full disk is said to be one, what is there stays readable, and everything works again once there is space.
func TestFullDisk(t *testing.T) {
	w := newWorld(t, t.TempDir(), "process")
	if err := os.MkdirAll(w.data(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", w.data(), "tmpfs", 0, "size=96m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.close()
		if err := syscall.Unmount(w.data(), 0); err != nil {
			t.Errorf("unmount the data folder: %v", err)
		}
	})
	w.start()
	w.login()
	w.cps("application", "create", "shop")

	filler := filepath.Join(w.data(), "filler")
	fill(t, filler)
	_, err := w.try("application", "create", "second")
	if err == nil || !strings.Contains(err.Error(), "disk is full; nothing was changed") {
		t.Errorf("an application on a full disk: %v, want an error that names the disk", err)
	}
	if out := w.cps("application", "list", "-o", "json"); !strings.Contains(out, `"shop"`) || strings.Contains(out, `"second"`) {
		t.Errorf("applications on a full disk: %s", out)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.cps("application", "create", "second")
}

// fill writes until there is no space left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
