//go:build linux

package pid1

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon"
	"conpaas/client/daemon/proc"
)

// TestMain lets the test binary be the first program of a machine, and its daemon.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case "-init":
			os.Exit(daemon.Run(func(ctx context.Context) error { return runInit(ctx, os.Args[2]) }))
		case "-daemon":
			os.Exit(daemon.Run(func(ctx context.Context) error { return runDaemon(ctx, os.Args[2]) }))
		}
	}
	os.Exit(m.Run())
}

func runInit(ctx context.Context, dir string) error {
	if os.Getpid() == 1 {
		// /proc must show the processes of the new namespace, and nothing of that must reach the host.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			return err
		}
	}
	path, err := os.ReadFile(filepath.Join(dir, "path"))
	if err != nil {
		return err
	}
	return Run(ctx, daemon.Logger(os.Stderr, 0, false), Config{
		Name: "test", Path: string(path), Args: []string{"-daemon", dir}, Env: os.Environ(), StateDir: dir,
	})
}

// runDaemon notes its process id, starts or adopts a role, makes an orphan, and waits.
func runDaemon(ctx context.Context, dir string) error {
	role, found, err := proc.Adopt(filepath.Join(dir, "role.json"))
	if err == nil && !found {
		script := `trap 'echo role >> ` + dir + `/ended; exit 0' TERM; echo $$ >> ` + dir + `/roles; while :; do sleep 0.01; done`
		role, err = proc.Start(filepath.Join(dir, "role.json"), proc.Spec{Name: "role", Path: "/bin/sh", Args: []string{"-c", script}, Env: os.Environ()})
	}
	if err != nil {
		return err
	}
	defer role.Release()
	// The orphan notes who its parent is when the shell that has started it is gone.
	orphan := `while read pid name state parent rest < /proc/$$/stat; [ $parent = $1 ]; do sleep 0.01; done; echo $parent >> ` + dir + `/orphans`
	if err := exec.Command("/bin/sh", "-c", "sh -c '"+orphan+"' orphan $$ & exit 0").Run(); err != nil {
		return err
	}
	if err := appendLine(filepath.Join(dir, "daemons"), strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	<-ctx.Done()
	return appendLine(filepath.Join(dir, "ended"), "daemon")
}

func appendLine(path, line string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintln(file, line)
	return err
}

// machine is one run of the first program.
type machine struct {
	t       *testing.T
	dir     string
	program *exec.Cmd
	proc    string // its /proc
	waited  sync.Once
}

func boot(t *testing.T, dir, daemonPath string, namespace bool) *machine {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "path"), []byte(daemonPath), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, dir: dir, program: exec.Command(os.Args[0], "-init", dir), proc: "/proc"}
	// An *os.File, since a pipe of exec's would be held open by the programs that outlive this one.
	out, err := os.OpenFile(filepath.Join(dir, "console"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	m.program.Stdout, m.program.Stderr = out, out
	if namespace {
		m.program.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	}
	if err := m.program.Start(); err != nil {
		t.Fatal(err)
	}
	if namespace {
		m.proc = fmt.Sprintf("/proc/%d/root/proc", m.program.Process.Pid)
	}
	t.Cleanup(func() {
		m.program.Process.Kill()
		m.wait()
		if t.Failed() {
			t.Logf("console:\n%s", m.read("console"))
		}
	})
	return m
}

func (m *machine) wait() { m.waited.Do(func() { m.program.Wait() }) }

func (m *machine) read(name string) string {
	text, _ := os.ReadFile(filepath.Join(m.dir, name))
	return string(text)
}

// lines waits until a file has n lines, and gives them.
func (m *machine) lines(name string, n int) []string {
	m.t.Helper()
	var lines []string
	eventually(m.t, fmt.Sprintf("%s has %d lines", name, n), func() bool {
		lines = strings.Fields(m.read(name))
		return len(lines) >= n && strings.HasSuffix(m.read(name), "\n")
	})
	if len(lines) != n {
		m.t.Errorf("%s has %q, %d lines were expected", name, lines, n)
	}
	return lines
}

// state gives the state of a process of the machine: 0 when there is none.
func (m *machine) state(pid string) byte {
	text, err := os.ReadFile(filepath.Join(m.proc, pid, "stat"))
	_, rest, ok := bytes.Cut(text, []byte(") "))
	if err != nil || !ok {
		return 0
	}
	return rest[0]
}

// hostPID gives the id that the test has for a process of the machine.
func (m *machine) hostPID(pid string) int {
	m.t.Helper()
	if m.proc == "/proc" {
		n, _ := strconv.Atoi(pid)
		return n
	}
	own := fmt.Sprintf("/proc/%d/ns/pid", m.program.Process.Pid)
	want, _ := os.Readlink(own)
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, entry := range entries {
		text, _ := os.ReadFile(filepath.Join(entry, "status"))
		namespace, _ := os.Readlink(filepath.Join(entry, "ns", "pid"))
		_, ids, _ := strings.Cut(string(text), "\nNSpid:")
		ids, _, _ = strings.Cut(ids, "\n")
		if fields := strings.Fields(ids); namespace == want && len(fields) > 0 && fields[len(fields)-1] == pid {
			n, _ := strconv.Atoi(filepath.Base(entry))
			return n
		}
	}
	m.t.Fatalf("the machine has no process %s", pid)
	return 0
}

func (m *machine) kill(pid string, signal syscall.Signal) {
	m.t.Helper()
	if err := syscall.Kill(m.hostPID(pid), signal); err != nil {
		m.t.Fatal(err)
	}
}

// zombies counts the zombies whose parent is the first program.
func (m *machine) zombies() int {
	parent := strconv.Itoa(m.program.Process.Pid)
	if m.proc != "/proc" {
		parent = "1"
	}
	entries, _ := filepath.Glob(filepath.Join(m.proc, "[0-9]*", "stat"))
	n := 0
	for _, entry := range entries {
		text, _ := os.ReadFile(entry)
		_, rest, _ := bytes.Cut(text, []byte(") "))
		if fields := strings.Fields(string(rest)); len(fields) > 2 && fields[0] == "Z" && fields[1] == parent {
			n++
		}
	}
	return n
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func TestFirstProgramOfAMachine(t *testing.T) {
	m := boot(t, t.TempDir(), os.Args[0], true)
	first := m.lines("daemons", 1)[0]
	role := m.lines("roles", 1)[0]

	if got := m.lines("orphans", 1); got[0] != "1" {
		t.Errorf("the parent of the orphan is %s", got[0])
	}
	eventually(t, "the orphan is reaped", func() bool { return m.zombies() == 0 })

	m.kill(first, syscall.SIGKILL)
	second := m.lines("daemons", 2)[1]
	if second == first || m.state(first) != 0 {
		t.Errorf("the daemon was %s, is %s; the old one is in state %q", first, second, m.state(first))
	}
	m.lines("orphans", 2)
	if got := m.lines("roles", 1); got[0] != role || m.state(role) == 0 {
		t.Errorf("the role was %s, is %s", role, got[0])
	}
	if !strings.Contains(m.read("console"), `outcome="signal: killed"`) {
		t.Error("the log does not say how the daemon has ended")
	}

	deaf := exec.Command("nsenter", "-t", strconv.Itoa(m.program.Process.Pid), "-p", "-m", "/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done")
	output, err := deaf.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := deaf.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := output.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if err := m.program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.wait()
	if code := m.program.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	deaf.Wait()
	if got := strings.Fields(m.read("ended")); len(got) != 2 || got[0] != "daemon" || got[1] != "role" {
		t.Errorf("ended in the order %q", got)
	}
}

func TestSubreaper(t *testing.T) {
	dir := t.TempDir()
	t.Cleanup(func() { endLeft(t, filepath.Join(dir, "role.json")) })
	t.Cleanup(func() { endLeft(t, filepath.Join(dir, "test.json")) })
	m := boot(t, dir, os.Args[0], false)
	first := m.lines("daemons", 1)[0]
	role := m.lines("roles", 1)[0]
	if got := m.lines("orphans", 1); got[0] != strconv.Itoa(m.program.Process.Pid) {
		t.Errorf("the parent of the orphan is %s, not %d", got[0], m.program.Process.Pid)
	}
	eventually(t, "the orphan is reaped", func() bool { return m.zombies() == 0 })
	m.kill(first, syscall.SIGKILL)
	second := m.lines("daemons", 2)[1]
	m.lines("orphans", 2)

	// Killed itself, it leaves the daemon, which the next one takes over.
	m.program.Process.Kill()
	m.wait()
	again := boot(t, dir, os.Args[0], false)
	eventually(t, "the daemon is taken over", func() bool { return strings.Contains(again.read("console"), `msg="daemon was running"`) })
	if err := again.program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	again.wait()
	if code := again.program.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := again.lines("ended", 1); got[0] != "daemon" || again.state(second) != 0 && again.state(second) != 'Z' {
		t.Errorf("ended are %q, the daemon is in state %q", got, again.state(second))
	}
	if state := again.state(role); state == 0 || state == 'Z' {
		t.Errorf("the role is in state %q", state)
	}
}

// endLeft ends a program that has outlived the first program of a test.
func endLeft(t *testing.T, stateFile string) {
	p, found, err := proc.Adopt(stateFile)
	if err != nil {
		t.Error(err)
	}
	if !found {
		return
	}
	defer p.Release()
	if err := p.KillSession(context.Background(), 0); err != nil {
		t.Error(err)
	}
}

func TestDaemonThatDoesNotStart(t *testing.T) {
	m := boot(t, t.TempDir(), "/no/such/daemon", false)
	eventually(t, "two attempts", func() bool { return strings.Count(m.read("console"), `msg="daemon does not start"`) >= 2 })
	if err := m.program.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	m.wait()
	if code := m.program.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Whether the handle of a process or the reaper takes its exit status first, it is known.
func TestOutcomeIsKnown(t *testing.T) {
	r := startReaper()
	defer r.stop()
	for i := range 50 {
		script := fmt.Sprintf("exit %d", i)
		p, err := proc.Start(filepath.Join(t.TempDir(), "state"), proc.Spec{Name: "test", Path: "/bin/sh", Args: []string{"-c", script}})
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		if got, want := r.outcome(p), fmt.Sprintf("exit status %d", i); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		p.Release()
	}
}

func TestPauses(t *testing.T) {
	var p pauses
	for i, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000} {
		if got := p.next(29 * time.Second); got != want*time.Millisecond {
			t.Errorf("pause %d is %s, want %d ms", i, got, want)
		}
	}
	if got := p.next(30 * time.Second); got != 100*time.Millisecond {
		t.Errorf("after 30 s the pause is %s", got)
	}
}
