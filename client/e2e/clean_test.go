package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// After everything was killed, `cloud clean` leaves this host as it was.
func TestCleanLeavesNothing(t *testing.T) {
	for _, runtime := range []string{"process", "container"} {
		t.Run(runtime, func(t *testing.T) {
			if runtime == "container" {
				rootfs(t) // made before the host is looked at
			}
			before := host(t)
			w := newWorld(t, t.TempDir(), runtime)
			t.Cleanup(w.close)
			w.start()
			w.login()
			w.cps("application", "create", "shop")
			w.cps("service", "add", "helloworld", "shop")
			w.cps("service", "start", "shop", "helloworld")
			w.cps("volume", "create", "shop", "files", "--size", "16", "--node", string(w.served()))
			if during := host(t); slices.Equal(during, before) {
				t.Fatal("nothing of a running cloud is seen: this test could not fail")
			}
			w.kill()
			for _, m := range w.machines() {
				for _, pid := range m.processes() {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}
			if out, err := w.command("cpsdirector", "cloud", "clean", "--config", w.path("director.cfg"), "--data", w.data()).CombinedOutput(); err != nil {
				t.Fatalf("cloud clean: %v\n%s", err, out)
			}
			w.eventually(10*time.Second, "the host is as before", func() error {
				if left := difference(host(t), before); len(left) > 0 {
					return fmt.Errorf("left over:\n%s", strings.Join(left, "\n"))
				}
				if loops := w.loops(); len(loops) > 0 {
					return fmt.Errorf("loop devices of %v are left", loops)
				}
				return nil
			})
		})
	}
}

// host gives a line for each mount, network namespace, cgroup, listening socket and process of ours on this host.
func host(t *testing.T) []string {
	t.Helper()
	var lines []string
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		lines = append(lines, "mount "+strings.Fields(line)[4])
	}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(d.Name(), "conpaas") {
			lines = append(lines, "cgroup "+path)
		}
		return nil
	})
	for _, table := range []string{"tcp", "udp", "unix"} {
		content, err := os.ReadFile("/proc/net/" + table)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			f := strings.Fields(line)
			switch {
			case table == "tcp" && f[3] == "0A", table == "udp" && f[0] != "sl":
				lines = append(lines, table+" "+f[1])
			case table == "unix" && len(f) == 8 && strings.Contains(f[7], "conpaas"):
				lines = append(lines, "unix "+f[7])
			}
		}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || parentOf(pid) == 0 {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if name := string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})); strings.Contains(name, "cpsagent") || strings.Contains(name, "cpsmanager") || strings.Contains(name, "cpsdirector") || strings.Contains(name, "nginx:") {
			lines = append(lines, fmt.Sprintf("process %d %s", pid, name))
		}
	}
	slices.Sort(lines)
	return lines
}

// difference gives the lines of a that b has not.
func difference(a, b []string) []string {
	var only []string
	for _, line := range a {
		if _, found := slices.BinarySearch(b, line); !found {
			only = append(only, line)
		}
	}
	return only
}
