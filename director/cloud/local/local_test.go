package local_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/cloud/cloudtest"
	"conpaas/director/cloud/local"
	"conpaas/director/cloud/local/forward"
)

func init() { runtime.LockOSThread() } // as every program that uses the package

func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "cloud" && os.Args[2] == "forward" {
		os.Exit(forwarder(os.Args[4]))
	}
	enterNamespace()
	if job := os.Getenv(crashJob); job != "" {
		os.Exit(direct(job))
	}
	goleak.VerifyTestMain(m)
}

// program is what a cloud starts processes of: this test binary.
func program() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path
}

// forwarder is what cpsdirector cloud forward is.
func forwarder(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := forward.Run(ctx, slog.New(slog.NewTextHandler(os.Stderr, nil)), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// rootDir makes a root file system of busybox, which must be linked statically.
func rootDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "rootfs")
	for _, d := range []string{"bin", "etc", "dev", "proc", "sys", "run", "tmp", "var/lib", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyProgram(t, "/bin/busybox", filepath.Join(dir, "bin/busybox"))
	for _, name := range []string{"sh", "sleep", "cat", "echo", "id", "unshare", "mount", "hostname", "ls", "httpd", "nc", "ip", "wc", "true", "kill", "stat", "grep", "arping", "ping", "wget", "mkdir", "seq", "tunctl"} {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// copyProgram copies a program. Another process does it: while this one has a program open for writing, a process that it
// starts at that moment has it, too, and then it cannot be run.
func copyProgram(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("/bin/cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s (busybox comes by apt-get install busybox-static)", err, out)
	}
	if err := os.Chmod(to, 0o755); err != nil {
		t.Fatal(err)
	}
}

// imageTar is the tar file of rootDir.
func imageTar(t *testing.T) []byte {
	t.Helper()
	content, err := exec.Command("tar", "--create", "--directory", rootDir(t), ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// content gives what is in a file.
func content(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// locked is a writer for many goroutines.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// noCancel is a context for what has to be done after the test's own has ended.
func noCancel(t testing.TB) context.Context { return context.WithoutCancel(t.Context()) }

// logged is a log that is shown when the test fails.
func logged(t testing.TB) *slog.Logger {
	var b bytes.Buffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("log of the cloud:\n" + b.String())
		}
	})
	return slog.New(slog.NewTextHandler(&locked{w: &b}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// configuration makes the configuration of a new cloud.
func configuration(t testing.TB, options map[string]string) cloud.Config {
	t.Helper()
	all := map[string]string{"RUNTIME": local.RuntimeContainer}
	maps.Copy(all, options)
	switch {
	case all["RUNTIME"] == local.RuntimeContainer && all["ROOTFS"] == "":
		all["ROOTFS"] = rootDir(t)
	case all["RUNTIME"] == local.RuntimeVM && all["IMAGE"] == "":
		all["IMAGE"], all["MEMORY_MIB"] = bootDisk(t), "16"
	}
	return cloud.Config{Name: "default", Deployment: "d1", Dir: filepath.Join(t.TempDir(), "cloud"), Options: all, Log: logged(t), Program: program()}
}

// open opens a cloud without starting it.
func open(t testing.TB, c cloud.Config) *local.Cloud {
	t.Helper()
	p, err := local.Driver().Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*local.Cloud)
}

// start opens and starts a cloud; it is cleaned at the end of the test.
func start(t testing.TB, c cloud.Config) *local.Cloud {
	t.Helper()
	l := open(t, c)
	t.Cleanup(func() { clean(t, c, l) })
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// clean removes what the test left of its cloud.
func clean(t testing.TB, c cloud.Config, l *local.Cloud) {
	ctx := noCancel(t)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	c.Failpoint = nil
	p, err := local.Driver().Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.(cloud.Cleaner).Clean(ctx); err != nil {
		t.Error(err)
	}
}

// again opens the cloud of a configuration once more, as a restarted director does.
func again(t testing.TB, c cloud.Config, l *local.Cloud) *local.Cloud {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return start(t, c)
}

// userData greets and then waits.
func userData(lines ...string) []byte {
	return []byte("#!/bin/sh\n" + strings.Join(append([]string{"echo " + cloudtest.Greeting}, lines...), "\n") + "\ntrap 'exit 0' TERM\nwhile :; do sleep 3600 & wait; done\n")
}

// launch launches a machine that runs lines.
func launch(t testing.TB, l *local.Cloud, token string, lines ...string) cloud.Machine {
	t.Helper()
	id, err := l.Launch(t.Context(), cloud.Spec{Token: token, Name: token, UserData: userData(lines...)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.Describe(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// printed waits until the console of a machine has a line with a word, and gives the whole text.
func printed(t testing.TB, l *local.Cloud, id cloud.MachineID, word string) string {
	t.Helper()
	var text []byte
	until(t, fmt.Sprintf("machine %s prints %q", id, word), func() bool {
		r, err := l.Console(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if text, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), word)
	})
	return string(text)
}

// until looks until a condition holds.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !condition() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// TestConformance holds all runtimes to the rules of all clouds.
func TestConformance(t *testing.T) {
	for _, kind := range []string{local.RuntimeContainer, local.RuntimeVM, local.RuntimeProcess} {
		t.Run(kind, func(t *testing.T) {
			configs := map[cloud.Provider]cloud.Config{}
			image, format := imageTar, api.ImageRootFS
			if kind == local.RuntimeVM {
				image, format = func(t *testing.T) []byte { return content(t, bootDisk(t)) }, api.ImageRaw
			}
			cloudtest.Run(t, func(t *testing.T) cloud.Provider {
				c := configuration(t, map[string]string{"RUNTIME": kind})
				l := start(t, c)
				configs[l] = c
				return l
			}, cloudtest.Options{Reopen: func(t *testing.T, p cloud.Provider) cloud.Provider {
				l := again(t, configs[p], p.(*local.Cloud))
				configs[l] = configs[p]
				return l
			}, BootImage: image, ImageFormat: format, Architecture: runtime.GOARCH, NoVolumeProgram: kind == local.RuntimeVM, Stubborn: kind == local.RuntimeVM})
		})
	}
}
