package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
)

func task(t *testing.T, h *host.Host) *host.Task {
	t.Helper()
	tk, err := h.Task("errand")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tk.End(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return tk
}

// ended waits for the end of a task.
func ended(t *testing.T, tk *host.Task) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if running, exit, err := tk.Look(); err != nil || !running {
			if err != nil {
				t.Error(err)
			}
			return exit
		}
	}
	t.Fatal("the task does not end")
	return 0
}

func shell(script string) host.Errand {
	return host.Errand{Path: "/bin/sh", Args: []string{"-c", script}, Out: "errand", Err: "errand-err"}
}

func run(t *testing.T, tk *host.Task, e host.Errand) {
	t.Helper()
	if err := tk.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tk.Run(e); err != nil {
		t.Fatal(err)
	}
}

func said(t *testing.T, h *host.Host, log string) string {
	t.Helper()
	text, err := h.Logs().Tail(log, 100)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestErrand(t *testing.T) {
	h := hosttest.New(t)
	tk := task(t, h)
	e := shell(`id -u; id -g; id -G; ulimit -n; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status; echo $X "$1"; pwd; echo wrong >&2; exit 7`)
	e.Args = append(e.Args, "name", "a b;$(id)")
	e.Env, e.Dir, e.User = []string{"X=y"}, "/tmp", host.User{UID: 12345, GID: 54321}
	e.Files, e.Victim = 100, true
	run(t, tk, e)
	if exit := ended(t, tk); exit != 7 {
		t.Errorf("exit %d", exit)
	}
	if got, want := said(t, h, "errand"), "12345\n54321\n54321\n100\n1000\nNoNewPrivs:\t1\ny a b;$(id)\n/tmp\n"; got != want {
		t.Errorf("it writes %q, want %q", got, want)
	}
	if got := said(t, h, "errand-err"); got != "wrong\n" {
		t.Errorf("its errors are %q", got)
	}
}

// What is prepared once runs once, whoever asks for it again.
func TestErrandRunsOnce(t *testing.T) {
	h := hosttest.New(t)
	tk := task(t, h)
	if err := tk.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if begun, err := tk.Begun(); begun || err != nil {
		t.Errorf("%t, %v", begun, err)
	}
	for range 3 {
		if err := tk.Run(shell("echo once")); err != nil {
			t.Fatal(err)
		}
		ended(t, tk)
		if begun, err := tk.Begun(); !begun || err != nil {
			t.Errorf("%t, %v", begun, err)
		}
		tk.Release()
	}
	if got := said(t, h, "errand"); got != "once\n" {
		t.Errorf("it writes %q", got)
	}
}

// A program that is told to end may do so in its way, and its status is known; a later agent finds it as well.
func TestErrandIsTold(t *testing.T) {
	root := hosttest.Root(t)
	h := hosttest.Open(t, root)
	tk := task(t, h)
	fifo := filepath.Join(root, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	mark, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer mark.Close()
	e := shell(`trap 'echo told; exit 9' TERM; echo x > "$FIFO"; while :; do sleep 0.05; done`)
	e.Env = []string{"FIFO=" + fifo}
	run(t, tk, e)
	if _, err := mark.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	tk.Release()
	later := task(t, hosttest.Open(t, root))
	if running, _, err := later.Look(); !running || err != nil {
		t.Fatalf("%t, %v", running, err)
	}
	if err := later.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if exit := ended(t, later); exit != 9 {
		t.Errorf("exit %d", exit)
	}
	if got := said(t, h, "errand"); !strings.HasPrefix(got, "told") {
		t.Errorf("it writes %q", got)
	}
	if err := later.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("one that has ended: %v", err)
	}
}
