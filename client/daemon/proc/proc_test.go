//go:build linux

package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be a daemon that starts a program and dies.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "-starter" {
		p, err := Start(os.Args[2], shell(os.Args[3]))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == "-inside" {
		fmt.Println(inside(os.Args[2]))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// shell is a program of a few shell commands.
func shell(script string) Spec {
	return Spec{Name: "test", Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}}
}

const forever = "exec sleep 100000"

func stateFile(t *testing.T) string { return filepath.Join(t.TempDir(), "state.json") }

// start starts a program that is killed at the end of the test.
func start(t *testing.T, file string, s Spec) *Process {
	t.Helper()
	p, err := Start(file, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, p) })
	return p
}

func end(t *testing.T, p *Process) {
	t.Helper()
	defer p.Release()
	if err := p.KillSession(context.Background(), 0); err != nil {
		t.Error(err)
	}
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

// lives tells whether a process is there and no zombie.
func lives(pid int) bool {
	s, err := readStat(pid)
	return err == nil && s.alive()
}

// pids waits until a file has n process ids and gives them.
func pids(t *testing.T, path string, n int) []int {
	t.Helper()
	var all []int
	eventually(t, fmt.Sprintf("%s has %d process ids", path, n), func() bool {
		text, _ := os.ReadFile(path)
		all = nil
		for word := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				all = append(all, pid)
			}
		}
		return len(all) == n && strings.HasSuffix(string(text), "\n")
	})
	return all
}

func TestProgramOutlivesItsStarterAndIsAdopted(t *testing.T) {
	file := stateFile(t)
	output, err := exec.Command(os.Args[0], "-starter", file, forever).CombinedOutput()
	if err != nil {
		t.Fatalf("%s, %v", output, err)
	}
	p, found, err := Adopt(file)
	if err != nil || !found {
		t.Fatalf("adopt: %v, %v", found, err)
	}
	defer p.Release()
	now, err := readStat(p.PID())
	if err != nil || strconv.Itoa(p.PID()) != strings.TrimSpace(string(output)) || now.session != p.PID() || !p.Alive() {
		t.Errorf("process %d, alive %v, %+v, %v; started was %s", p.PID(), p.Alive(), now, err, output)
	}
	if !p.Matches(shell(forever)) || p.Matches(shell("true")) {
		t.Error("the spec is not told from another")
	}
	if _, err := Start(file, shell(forever)); !errors.Is(err, ErrRunning) {
		t.Errorf("a second start gives %v", err)
	}
	select {
	case <-p.Done():
		t.Error("it is done already")
	default:
	}
	if err := p.KillSession(t.Context(), time.Minute); err != nil {
		t.Error(err)
	}
	<-p.Done()
	if p.Alive() || p.Outcome() != "" {
		t.Errorf("after the end: alive %v, outcome %q", p.Alive(), p.Outcome())
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal after the end gives %v", err)
	}
	if _, found, err := Adopt(file); found || err != nil {
		t.Errorf("adopted after the end: %v, %v", found, err)
	}
}

func TestOutcome(t *testing.T) {
	for script, want := range map[string]string{"exit 3": "exit status 3", "true": "exit status 0", "kill -9 $$": "signal: killed"} {
		p := start(t, stateFile(t), shell(script))
		<-p.Done()
		if got := p.Outcome(); got != want || p.Alive() {
			t.Errorf("%s: got %q, alive %v; want %q", script, got, p.Alive(), want)
		}
		if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(p.PID()))); err == nil {
			t.Errorf("%s: a zombie is left", script)
		}
	}
}

// A zombie is what an orphan becomes under a PID 1 that does not reap.
func TestZombieIsDead(t *testing.T) {
	zombie, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	defer zombie.Wait()
	var now stat
	eventually(t, "the process is a zombie", func() bool {
		now, err = readStat(zombie.Pid)
		return err == nil && now.state == 'Z'
	})
	file := stateFile(t)
	keep(t, file, state{PID: zombie.Pid, Start: now.start})
	if p, found, err := Adopt(file); found || err != nil {
		t.Errorf("adopted %v, %v", p, err)
	}
}

// keep writes a state file of this boot.
func keep(t *testing.T, file string, s state) {
	t.Helper()
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	if s.BootID == "" {
		s.BootID = boot
	}
	if err := s.write(file); err != nil {
		t.Fatal(err)
	}
}

// Neither a process that has got the id of the old program is adopted, nor does Start touch it.
func TestReusedPID(t *testing.T) {
	other := start(t, stateFile(t), shell(forever))
	for name, s := range map[string]state{
		"other start":   {PID: other.PID(), Start: other.state.Start - 1},
		"other boot":    {PID: other.PID(), Start: other.state.Start, BootID: "of yesterday"},
		"no such id":    {PID: 1 << 29, Start: 1},
		"never started": {Mark: "of nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			file := stateFile(t)
			keep(t, file, s)
			if p, found, err := Adopt(file); found || err != nil {
				t.Errorf("adopted %v, %v", p, err)
			}
			start(t, file, shell(forever))
			if !other.Alive() {
				t.Error("the other process was killed")
			}
		})
	}
}

func TestDamagedStateFile(t *testing.T) {
	file := stateFile(t)
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Adopt(file)
	_, also := Start(file, shell("true"))
	for _, err := range []error{err, also} {
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("got %v", err)
		}
	}
}

// The starter dies after it has started the program and before it has kept the process id.
func TestStarterDiesHalfWay(t *testing.T) {
	file := stateFile(t)
	p := start(t, file, shell("sleep 100001 & "+forever))
	half := p.state
	half.PID, half.Start = 0, 0
	keep(t, file, half)
	again, found, err := Adopt(file)
	if err != nil || !found {
		t.Fatalf("adopt: %v, %v", found, err)
	}
	defer again.Release()
	if again.PID() != p.PID() {
		t.Errorf("adopted process %d, not %d", again.PID(), p.PID())
	}
}

// The program obeys TERM; what it has started does not, one part of it in another session.
func TestKillSessionEndsGrandchildren(t *testing.T) {
	list := filepath.Join(t.TempDir(), "pids")
	deaf := `trap '' TERM HUP INT; echo $$ >> ` + list + `; while :; do sleep 1; done`
	script := fmt.Sprintf(`trap 'exit 0' TERM; sh -c "%[1]s" & setsid sh -c "%[1]s" & while :; do sleep 0.01; done`, strings.ReplaceAll(deaf, "$", `\$`))
	p := start(t, stateFile(t), shell(script))
	children := pids(t, list, 2)
	t.Cleanup(func() {
		for _, pid := range children {
			if t.Failed() && lives(pid) {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	if err := p.KillSession(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := p.Outcome(); got != "exit status 0" {
		t.Errorf("the program ended with %q", got)
	}
	for _, pid := range children {
		if lives(pid) {
			t.Errorf("process %d lives on", pid)
		}
	}
}

func TestKillSessionOfDeafProgram(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	p := start(t, stateFile(t), shell("trap '' TERM; echo $$ > "+ready+"; while :; do sleep 1; done"))
	pids(t, ready, 1)
	if err := p.KillSession(t.Context(), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if got := p.Outcome(); got != "signal: killed" {
		t.Errorf("got %q", got)
	}
}

// Workers that outlive their killed master must not serve beside those of the next one.
func TestStartEndsWhatIsLeft(t *testing.T) {
	list := filepath.Join(t.TempDir(), "pids")
	file := stateFile(t)
	first := start(t, file, shell("sh -c 'echo $$ >> "+list+"; "+forever+"' & "+forever))
	worker := pids(t, list, 1)[0]
	if err := first.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	if _, found, err := Adopt(file); found || err != nil || !lives(worker) {
		t.Fatalf("adopted %v, %v; worker lives %v", found, err, lives(worker))
	}
	start(t, file, shell(forever))
	if lives(worker) {
		t.Error("the worker lives on")
	}
}

func TestReleaseLeavesItRunning(t *testing.T) {
	file := stateFile(t)
	p, err := Start(file, shell(forever))
	if err != nil {
		t.Fatal(err)
	}
	p.Release()
	t.Cleanup(func() {
		syscall.Kill(p.PID(), syscall.SIGKILL) // a child that nobody reaps any more keeps its id
		syscall.Wait4(p.PID(), nil, 0, nil)
	})
	if !p.Alive() {
		t.Error("it has ended")
	}
	again, found, err := Adopt(file)
	if err != nil || !found {
		t.Fatalf("adopt: %v, %v", found, err)
	}
	end(t, again)
}

func TestStartFails(t *testing.T) {
	file := stateFile(t)
	for name, s := range map[string]Spec{
		"no program": {Name: "x", Path: "/no/such/program"},
		"no dir":     {Name: "x", Path: "/bin/true", Dir: "/no/such/dir"},
		"no log":     {Name: "x", Path: "/bin/true", Log: "/no/such/dir/log"},
	} {
		if _, err := Start(file, s); err == nil || !strings.Contains(err.Error(), "start x: ") {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s: a state file is left", name)
		}
	}
	if _, err := Start("/no/such/dir/state", shell("true")); err == nil {
		t.Error("it started without a state file")
	}
}

func TestEnvironmentUserAndLog(t *testing.T) {
	dir := t.TempDir()
	s := shell(`id -u; id -g; pwd; tr '\0' '\n' < /proc/$$/environ; echo oops >&2`)
	s.Log, s.Dir, s.User = filepath.Join(dir, "log"), "/usr", User{UID: 65534, GID: 65533}
	s.Env = append(s.Env, "A=b", markName+"=outer")
	p := start(t, stateFile(t), s)
	<-p.Done()
	text, err := os.ReadFile(s.Log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 3 || lines[0] != "65534" || lines[1] != "65533" || lines[2] != "/usr" {
		t.Errorf("user, group and directory are %q", lines)
	}
	for _, want := range []string{"\nA=b\n", "\noops\n", "\n" + markName + "=" + p.state.Mark + "\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in the log %q", want, text)
		}
	}
	if strings.Contains(string(text), "outer") || strings.Contains(string(text), "HOME=") {
		t.Errorf("the environment is not that of the spec: %q", text)
	}
}

func TestLogIsRotated(t *testing.T) {
	log, gate := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	s := shell("head -c 11000000 /dev/zero; echo last; read line < " + gate + "; echo after; " + forever)
	s.Log = log
	start(t, stateFile(t), s)
	eventually(t, "the log is rotated", func() bool {
		info, err := os.Stat(log)
		return err == nil && info.Size() == 0 && size(log+".1") > 0
	})
	if err := os.WriteFile(gate, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program writes to the new log", func() bool {
		text, err := os.ReadFile(log)
		return err == nil && string(text) == "after\n"
	})
	if old, err := os.ReadFile(log + ".1"); err != nil || len(old) > 2*logMax || !strings.HasSuffix(string(old), "last\n") {
		t.Errorf("the old log has %d bytes, %v", len(old), err)
	}
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
