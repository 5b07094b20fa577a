//go:build linux

package proc

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	tail := " 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 987654 0 0"
	for name, want := range map[string]stat{
		"5 (sh) S" + tail:         {pid: 5, state: 'S', session: 42, threads: 1, start: 987654},
		"5 (a) (b) Z 1) Z" + tail: {pid: 5, state: 'Z', session: 42, threads: 1, start: 987654},
		"5 () R" + tail + " 1 2":  {pid: 5, state: 'R', session: 42, threads: 1, start: 987654},
	} {
		if got, err := parseStat([]byte(name)); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", name, got, err)
		}
	}
	for _, wrong := range []string{"", "5", "5 (sh)", "x (sh) S" + tail, "5 (sh) S 1 2 3", "5 (sh) SS" + tail} {
		if got, err := parseStat([]byte(wrong)); err == nil {
			t.Errorf("%q: got %+v", wrong, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("5 (a b) S 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 987654 0"))
	f.Fuzz(func(t *testing.T, text []byte) { parseStat(text) })
}

// leaderless has the test binary end its first thread, and nothing else.
const leaderless = "-leaderless"

func init() {
	if slices.Contains(os.Args, leaderless) {
		runtime.LockOSThread()
		_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
	}
}

// A program whose first thread has ended runs. So it is for a moment whenever a program of several threads becomes another one.
func TestProgramWithoutItsFirstThread(t *testing.T) {
	file := stateFile(t)
	p := start(t, file, Spec{Name: "test", Path: "/proc/self/exe", Args: []string{leaderless}})
	eventually(t, "its first thread has ended", func() bool {
		now, err := readStat(p.PID())
		return err != nil || now.state == 'Z'
	})
	if now, err := readStat(p.PID()); !p.Alive() {
		t.Errorf("it does not run: %+v, %v", now, err)
	}
	if _, err := Start(file, shell(forever)); !errors.Is(err, ErrRunning) {
		t.Errorf("a second start gives %v", err)
	}
}

// A state file that the loss of power has damaged is of no program; a younger one may be, and somebody has to look.
func TestDamagedState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.json")
	if err := os.WriteFile(path, []byte(`{"pid":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Adopt(path); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
	before := time.Now().AddDate(-20, 0, 0)
	if err := os.Chtimes(path, before, before); err != nil {
		t.Fatal(err)
	}
	if _, running, err := Adopt(path); running || err != nil {
		t.Errorf("a file from before the boot: running %v, error %v", running, err)
	}
}
