package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local"
	"conpaas/director/cloud/local/mount"
	"conpaas/director/cloud/local/netns"
)

// whole is what a host looks like from outside, as far as it concerns one cloud with these published ports.
func (h host) whole(t *testing.T, ports [2]int) []string {
	t.Helper()
	state := h.traces(t)
	mounts, err := mount.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts { // those of other tests come and go, root's among those that a user sees
		if !strings.HasPrefix(m.Point, os.TempDir()) && !strings.HasPrefix(m.Point, "/tmp/") && !strings.HasPrefix(m.Point, "/run/conpaas-") || strings.HasPrefix(m.Point, h.dir) {
			state = append(state, "mounted "+m.Type+" "+m.Point)
		}
	}
	sockets, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for port := ports[0]; port <= ports[1]; port++ {
		if strings.Contains(string(sockets), fmt.Sprintf("0100007F:%04X 00000000:0000 0A", port)) {
			state = append(state, fmt.Sprint("listens ", port))
		}
	}
	for _, file := range []string{"dev", "route"} { // interfaces and routes of the host
		text, err := os.ReadFile("/proc/self/net/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			state = append(state, file+" "+strings.Fields(line)[0])
		}
	}
	return state
}

// TestClean: after the director was killed with three machines running, and whatever was killed since, Clean leaves the
// host as it was before, and says what it removed.
func TestClean(t *testing.T) {
	for kind, ports := range map[string][2]int{local.RuntimeContainer: {19881, 19885}, local.RuntimeProcess: {19886, 19889}} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := configuration(t, map[string]string{"RUNTIME": kind, "PUBLISH_PORTS": fmt.Sprintf("%d-%d", ports[0], ports[1])})
			h := newHost(t, c.Dir)
			before := h.whole(t, ports)
			job{Dir: c.Dir, Options: c.Options, Work: "many"}.crash(t)
			machines := h.first(t)
			spaces := 0
			for id, first := range machines {
				if !first.Alive() {
					t.Errorf("machine %s did not outlive the director", id)
				}
				if n, err := netns.OfProcess(first.PID); err == nil {
					spaces++
					_ = n.Close()
				}
			}
			during := strings.Join(h.whole(t, ports), "\n")
			if published := strings.Count(during, "listens "); kind == local.RuntimeContainer && (published != 3 || len(h.forwarders(t)) != 1) {
				t.Errorf("%d ports are forwarded, by processes %v", published, h.forwarders(t))
			}
			if len(machines) != 3 || spaces != 3 || len(h.whole(t, ports)) < len(before)+6 {
				t.Fatalf("the cloud is not there: %v", h.whole(t, ports))
			}
			l := open(t, c)
			report, err := l.Clean(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if after := h.whole(t, ports); !slices.Equal(before, after) {
				t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
			for id, first := range machines {
				if first.Alive() || !slices.Contains(report, fmt.Sprint("ended process ", first.PID)) {
					t.Errorf("process %d of machine %s lives, or the report does not name it: %q", first.PID, id, report)
				}
			}
			if report, err := l.Clean(t.Context()); err != nil || len(report) != 0 {
				t.Errorf("a second time %q, %v", report, err)
			}
			if err := l.Start(t.Context()); err != nil {
				t.Fatalf("after cleaning it does not start: %v", err)
			}
			launch(t, l, "new-1")
			if report, err := l.Clean(t.Context()); err != nil || len(report) < 4 {
				t.Errorf("clean of a running cloud: %q, %v", report, err)
			}
			if after := h.whole(t, ports); !slices.Equal(before, after) {
				t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
			if _, err := l.List(t.Context()); cloud.KindOf(err) != cloud.KindPermanent {
				t.Errorf("a cleaned cloud lists: %v", err)
			}
		})
	}
}

// TestCleanCrash kills the cleaning at each of its places; the next one finishes it.
func TestCleanCrash(t *testing.T) {
	t.Parallel()
	c := configuration(t, nil)
	h := newHost(t, c.Dir)
	for place := 1; ; place++ {
		job{Dir: c.Dir, Options: c.Options, Work: "many"}.crash(t)
		places := job{Dir: c.Dir, Options: c.Options, Work: "clean", Kill: place}.crash(t)
		if len(places) != place {
			t.Fatalf("the cleaning passed %q", places)
		}
		if _, err := open(t, c).Clean(t.Context()); err != nil {
			t.Fatalf("after a crash at %s: %v", places[place-1], err)
		}
		if left := h.traces(t); len(left) != 0 {
			t.Errorf("after a crash at %s left are %q", places[place-1], left)
		}
		if places[place-1] == "clean:ungrouped" {
			return
		}
	}
}

// TestCleanNothing cleans where nothing is, and refuses while a director uses the cloud.
func TestCleanNothing(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"RUNTIME": local.RuntimeProcess})
	if report, err := open(t, c).Clean(t.Context()); err != nil || len(report) != 0 {
		t.Errorf("nothing was cleaned: %q, %v", report, err)
	}
	if _, err := os.Stat(c.Dir); err == nil {
		t.Error("cleaning made the directory")
	}
	l := start(t, c)
	m := launch(t, l, "n1-1")
	foreign := filepath.Join(c.Dir, "foreign")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if report, err := open(t, c).Clean(t.Context()); cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), "in use") {
		t.Errorf("cleaned %q under a director, %v", report, err)
	}
	if now, err := l.Describe(t.Context(), m.ID); err != nil || now.State != cloud.StateRunning {
		t.Errorf("the machine is %+v, %v", now, err)
	}
	if _, err := l.Clean(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("what is not ours was removed: %v", err)
	}
}
