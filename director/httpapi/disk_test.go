package httpapi_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"conpaas/client/api"
)

// With a full disk no route speaks of an internal error: what changes something is refused as storage_full, with the time
// to wait, what reads is answered, and everything works again once there is space.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatalf("mount a small disk (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w := newWorldIn(t, dir)
	filler := filepath.Join(dir, "filler")
	fillDisk(t, filler)
	full := map[string]bool{}
	everyRoute(t, w, func(r routeInfo, q request, who *caller) {
		if r.ID == "upload-code" {
			q.query, q.body, q.kind = "filename=site.zip", "PK", "application/octet-stream"
		}
		got := w.call(t, who, q)
		if got.problem.Code == api.CodeInternal {
			t.Errorf("%s with a full disk: %d %.300s", r.ID, got.status, got.body)
		}
		if got.problem.Code == api.CodeFull {
			full[r.ID] = true
			if got.status != http.StatusInsufficientStorage || !got.problem.Retry || got.header.Get("Retry-After") == "" || !strings.Contains(got.problem.Detail, "disk") {
				t.Errorf("%s with a full disk: %d %v %.300s", r.ID, got.status, got.header, got.body)
			}
		}
		if r.Method == http.MethodGet && full[r.ID] {
			t.Errorf("%s only reads, and does not work with a full disk: %.300s", r.ID, got.body)
		}
	})
	create := request{method: "POST", path: "/v1/applications", body: `{"name":"one-more"}`}
	for _, id := range []string{"login", "add-nodes", "stop-application", "logout"} {
		if !full[id] {
			t.Errorf("%s is not refused with a full disk; refused are %v", id, full)
		}
	}
	if got := w.call(t, w.callers["owner"], create); got.status != http.StatusInsufficientStorage {
		t.Errorf("an application with a full disk: %d %.300s", got.status, got.body)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if got := w.call(t, w.callers["owner"], create); got.status != http.StatusCreated {
		t.Errorf("an application with space again: %d %.300s", got.status, got.body)
	}
}

// fillDisk writes until there is no space left.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
