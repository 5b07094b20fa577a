package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

// These measure what users wait for; `make bench` runs them and shows the figures. Each is one run on a new installation.

// BenchmarkScaleContainer grows a PHP service from one backend to twenty, all of them serving.
func BenchmarkScaleContainer(b *testing.B) {
	w := benchWorld(b, "container")
	w.cps("application", "create", "shop")
	w.cps("service", "add", "php", "shop")
	w.cps("service", "start", "shop", "php")
	w.cps("php", "upload-code", "shop", "php", w.example(), "--enable")
	w.cps("service", "add-nodes", "shop", "php", "--backend", "1")
	w.measureScale("php", "backend", 1, 20)
}

// BenchmarkScaleProcess grows a service from one agent to fifty, as plain processes.
func BenchmarkScaleProcess(b *testing.B) {
	w := benchWorld(b, "process")
	w.cps("application", "create", "shop")
	w.cps("service", "add", "helloworld", "shop")
	w.cps("service", "start", "shop", "helloworld")
	w.measureScale("helloworld", "node", 1, 50)
	b.ReportMetric(w.rss(w.cmd.Process.Pid), "director_50_rss_mib")
}

// BenchmarkFirstPage is the time from the creation of an application to the first page of its PHP service: cold, with an image
// that this director has not unpacked yet, and warm.
func BenchmarkFirstPage(b *testing.B) {
	w := benchWorld(b, "container")
	archive := w.example()
	for _, name := range []string{"cold", "warm"} {
		begun := time.Now()
		w.cps("application", "create", name)
		w.cps("service", "add", "php", name)
		w.cps("service", "start", name, "php")
		w.cps("php", "upload-code", name, "php", archive, "--enable")
		url := fieldsOf(w.cps("service", "show", name, "php", "-o", "json"), "url")[0]
		if err := request(http.DefaultClient, url); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(begun).Seconds(), "first_page_"+name+"_s")
	}
	reportLoad(b)
}

// BenchmarkIdle is the memory of the three daemons with one agent, after half a minute of nothing to do.
func BenchmarkIdle(b *testing.B) {
	w := benchWorld(b, "container")
	w.cps("application", "create", "shop")
	w.cps("service", "add", "helloworld", "shop")
	w.cps("service", "start", "shop", "helloworld")
	pause(b, 30*time.Second)
	b.ReportMetric(w.rss(w.cmd.Process.Pid), "director_idle_rss_mib")
	for _, n := range w.nodes() {
		name := "agent_idle_rss_mib"
		if n.Role == api.ManagerRole {
			name = "manager_idle_rss_mib"
		}
		b.ReportMetric(w.rss(w.machine(n.ID).daemons()[0]), name)
	}
	w.measureIdleCPU()
	reportLoad(b)
}

// BenchmarkCLI is the time of a command that asks nobody.
func BenchmarkCLI(b *testing.B) {
	w := newWorld(b, b.TempDir(), "process")
	var took []time.Duration
	for range 40 {
		begun := time.Now()
		w.cps("--version")
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "cli_start_ms")
	reportLoad(b)
}

func benchWorld(b *testing.B, runtime string) *world {
	b.Helper()
	w := newWorld(b, b.TempDir(), runtime)
	b.Cleanup(w.close)
	w.start()
	w.login()
	return w
}

// example packs docs/examples/php.
func (w *world) example() string {
	w.t.Helper()
	source, err := filepath.Abs("../../docs/examples/php")
	if err != nil {
		w.t.Fatal(err)
	}
	archive := w.path("example.tar.gz")
	if out, err := exec.Command("tar", "-czf", archive, "-C", source, ".").CombinedOutput(); err != nil {
		w.t.Fatalf("tar: %v\n%s", err, out)
	}
	return archive
}

// measureScale grows a role and reports how long the command took until all machines did what their spec says, and
// until all were launched, joined and ready.
func (w *world) measureScale(service, role string, from, to int) {
	b := w.t.(*testing.B)
	runtime := w.runtime
	begun := time.Now()
	w.cps("service", "add-nodes", "shop", service, "--"+role, fmt.Sprint(to-from))
	b.ReportMetric(time.Since(begun).Seconds(), fmt.Sprintf("scale_%d_%s_s", to, runtime))
	var events []api.Event
	if err := json.Unmarshal([]byte(w.cps("application", "events", "shop", "-o", "json")), &events); err != nil {
		b.Fatal(err)
	}
	for _, step := range []struct{ kind, name string }{{"node.booting", "launched"}, {"node.joined", "joined"}, {"node.ready", "ready"}} {
		last, seen := begun, make(map[api.NodeID]bool)
		for _, e := range events { // oldest first; one that serves may be busy with a change for a moment, and is ready again
			if e.Kind == step.kind && !seen[e.Node] && e.Time.After(last) {
				last = e.Time
			}
			seen[e.Node] = seen[e.Node] || e.Kind == step.kind
		}
		b.ReportMetric(last.Sub(begun).Seconds(), fmt.Sprintf("scale_%d_%s_s", to, step.name))
	}
	reportLoad(b)
}

// rss gives the memory of a process in MiB.
func (w *world) rss(pid int) float64 {
	w.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kB float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kB); err == nil {
			return kB / 1024
		}
	}
	w.t.Fatalf("process %d has no VmRSS", pid)
	return 0
}

// pause lets time pass, for what is measured at rest.
func pause(b *testing.B, d time.Duration) {
	b.Helper()
	select {
	case <-time.After(d):
	case <-b.Context().Done():
	}
}

// reportLoad puts the load of the host beside the figures.
func reportLoad(b *testing.B) {
	b.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		b.Fatal(err)
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(load, "load")
}
