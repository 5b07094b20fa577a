package e2e

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"conpaas/client/api"
)

// durations are how long many things took. They may be added by several goroutines.
type durations struct {
	mu   sync.Mutex
	list []time.Duration
}

func (d *durations) add(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, t)
}

func (d *durations) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.list)
}

// p99 is the time that one of a hundred exceeds, in milliseconds.
func (d *durations) p99() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) == 0 {
		return 0
	}
	slices.Sort(d.list)
	return float64(d.list[len(d.list)*99/100].Microseconds()) / 1000
}

// cpuOf is the time that the processors have spent on a process so far (proc_pid_stat(5), in ticks of 10 ms).
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		b.Fatalf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	var user, system time.Duration
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		b.Fatal(err)
	}
	return (user + system) * 10 * time.Millisecond
}

// measureIdleCPU is what the daemons of shop's machines, which are at rest, take of a processor.
func (w *world) measureIdleCPU() {
	b := w.t.(*testing.B)
	pids, used := map[string]int{}, map[string]time.Duration{}
	for _, n := range w.nodes() {
		name := "agent_idle_cpu_percent"
		if n.Role == api.ManagerRole {
			name = "manager_idle_cpu_percent"
		}
		pids[name] = w.machine(n.ID).daemons()[0]
		used[name] = cpuOf(b, pids[name])
	}
	const rest = 30 * time.Second
	pause(b, rest)
	for name, pid := range pids {
		b.ReportMetric(percent(cpuOf(b, pid)-used[name], rest), name)
	}
}

// percent is a part of one processor.
func percent(used, of time.Duration) float64 { return 100 * used.Seconds() / of.Seconds() }
