package hosting

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/agent/service"
	"conpaas/client/api"
)

// workshop is a half without programs and the versions that it prepares.
type workshop struct {
	t    *testing.T
	h    *host.Host
	p    Site
	half *Half
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	h, half := hosttest.New(t), newHalf()
	p, err := half.site(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.State().Mkdir(service.BlobDir, 0o700, host.User{}); err != nil {
		t.Fatal(err)
	}
	w := &workshop{t: t, h: h, p: p, half: half}
	t.Cleanup(func() { w.half.Close() })
	return w
}

func (w *workshop) store(v version) {
	w.t.Helper()
	if _, err := w.h.State().Write(service.BlobDir+"/"+v.SHA256, v.data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// prepare calls the half once for a machine with a web and a backend that want these versions.
func (w *workshop) prepare(versions ...version) map[api.Role]error {
	var blobs []api.CodeBlob
	for _, v := range versions {
		blobs = append(blobs, v.CodeBlob)
	}
	errs := map[api.Role]error{}
	want := wanted{web: &api.HostingWebConfig{Versions: blobs}, backend: &api.HostingBackendConfig{Versions: blobs}}
	w.half.prepare(w.t.Context(), w.p, want, func(r api.Role, err error) {
		if err != nil {
			errs[r] = err
		}
	})
	return errs
}

// many is a version with so many files, the last of which is as given.
func many(t *testing.T, id string, count int, last string) version {
	files := map[string]string{"z.php": last}
	for i := range count {
		files[fmt.Sprintf("lib/%03d.php", i)] = "good"
	}
	return newVersion(t, id, files)
}

// A check that takes longer than one call keeps both roles waiting, who go on, and says how far it is; it is done once.
func TestLongCheckKeepsTheRoles(t *testing.T) {
	w := newWorkshop(t)
	v := many(t, "code-manyyy", 40, "broken")
	w.store(v)
	w.half.limits.slice = 50 * time.Millisecond
	var told []string
	for calls := 0; ; calls++ {
		errs := w.prepare(v)
		if len(errs) == 0 {
			break
		}
		for _, r := range []api.Role{api.RoleWeb, api.RoleBackend} {
			if waits, busy := service.Waits(errs[r]); !waits || !busy || !strings.Contains(errs[r].Error(), v.ID) {
				t.Fatalf("role %s: %v", r, errs[r])
			}
		}
		told = append(told, errs[api.RoleBackend].Error())
		if err := w.half.prune(w.p, nil); err != nil { // what is under work is nobody's rubbish
			t.Fatal(err)
		}
		if calls > 1000 {
			t.Fatal("it does not come on")
		}
	}
	if r := readRecord(w.p, v.ID); !strings.Contains(r.Broken, "z.php is broken") {
		t.Errorf("the record is %+v", r)
	}
	told = slices.Compact(told)
	if len(told) < 3 || !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, "of 41 files are checked") }) {
		t.Errorf("it has told %q", told)
	}
}

// What takes too long is refused, and says which limit it was.
func TestPreparationIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		limits limits
		want   string
	}{
		"unpack": {limits{unpack: time.Nanosecond, check: time.Minute, slice: time.Minute}, "was not unpacked within 1ns"},
		"check":  {limits{unpack: time.Minute, check: time.Nanosecond, slice: time.Minute}, "0 of 41 files are checked, and no more within 1ns"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t)
			v := many(t, "code-manyyy", 40, "good")
			w.store(v)
			w.half.limits = c.limits
			if errs := w.prepare(v); len(errs) != 0 {
				t.Errorf("the errors are %v; want none, since it is refused", errs)
			}
			if _, refused := judge(w.p, []api.CodeBlob{v.CodeBlob}, true); !strings.Contains(refused[v.ID], c.want) {
				t.Errorf("refused: %q; want %q", refused, c.want)
			}
			if names, err := w.h.State().Directories(w.p.Code()); err != nil || slices.Contains(names, "new-"+v.ID) {
				t.Errorf("there are %v, %v", names, err)
			}
		})
	}
}

// A version whose blob is missing waits for it, and keeps no other one waiting. One that nobody wants any more is given
// up in the middle.
func TestMissingBlobAndChangedMind(t *testing.T) {
	w := newWorkshop(t)
	here, away := many(t, "code-hereee", 3, "good"), many(t, "code-awayyy", 300, "good")
	w.store(here)
	errs := w.prepare(away, here)
	waits, busy := service.Waits(errs[api.RoleBackend])
	if !waits || busy || !strings.Contains(errs[api.RoleBackend].Error(), "code-awayyy") || !strings.Contains(errs[api.RoleBackend].Error(), away.SHA256[:12]) {
		t.Errorf("the missing blob: %v", errs[api.RoleBackend])
	}
	if checked, _ := judge(w.p, []api.CodeBlob{here.CodeBlob}, true); !checked[here.ID] {
		t.Error("the version that is here is not checked")
	}
	w.store(away)
	w.half.limits.slice = 20 * time.Millisecond
	if errs := w.prepare(away, here); len(errs) != 2 || w.half.job == nil {
		t.Fatalf("300 files were checked at once: %v", errs)
	}
	if errs := w.prepare(here); len(errs) != 0 || w.half.job != nil {
		t.Errorf("%v; the work for %s goes on: %t", errs, away.ID, w.half.job != nil)
	}
	if r := readRecord(w.p, away.ID); r.Checked || r.Broken != "" {
		t.Errorf("what was given up is %+v", r)
	}
}

// What an agent that was killed has left half-done is done anew.
func TestHalfDoneVersionIsDoneAnew(t *testing.T) {
	w := newWorkshop(t)
	v := many(t, "code-hereee", 3, "good")
	w.store(v)
	if errs := w.prepare(v); len(errs) != 0 {
		t.Fatal(errs)
	}
	half := filepath.Join(w.p.Path(w.p.Code()), v.ID, "half")
	if err := os.WriteFile(half, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(w.p.Path(w.p.checks() + "/" + v.ID + ".json")); err != nil {
		t.Fatal(err)
	}
	if errs := w.prepare(v); len(errs) != 0 {
		t.Fatal(errs)
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("what was cut off is still there")
	}
}
