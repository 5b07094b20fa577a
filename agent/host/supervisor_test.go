package host_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
)

// sleeper is a program whose first process has a child; both end when they are killed. mark tells it from others.
func sleeper(name, mark string) host.Program {
	return host.Program{Name: name, Path: "/bin/sh", Args: []string{"-c", "echo " + mark + " $$; sleep 1000 & wait"}, Grace: time.Second}
}

// alive tells whether a process runs.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

// inSession gives the running processes of a session.
func inSession(t *testing.T, session int) (pids []int) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var pid, parent, group, of int
		var program, state string
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if _, err := fmt.Sscan(string(data), &pid, &program, &state, &parent, &group, &of); err == nil && of == session && state != "Z" {
			pids = append(pids, pid)
		}
	}
	return pids
}

// ensure makes a program run and gives its process.
func ensure(t *testing.T, h *host.Host, p host.Program) int {
	t.Helper()
	if err := h.Service().Ensure(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	state, known := h.Service().State(p.Name)
	if !known || state.PID == 0 {
		t.Fatalf("after Ensure: %+v, %t", state, known)
	}
	return state.PID
}

// await waits until the state of a program is as f wants it.
func await(t *testing.T, h *host.Host, name, what string, f func(host.ProgramState) bool) host.ProgramState {
	t.Helper()
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	ticker := time.NewTicker(10 * time.Millisecond) // what a program does is no change of its state
	defer ticker.Stop()
	for {
		state, _ := h.Service().State(name)
		if f(state) {
			return state
		}
		select {
		case <-h.Service().Changed():
		case <-ticker.C:
		case <-timer.C:
			t.Fatalf("this did not happen: %s; the last state: %+v", what, state)
		}
	}
}

func TestEnsureStartsOnce(t *testing.T) {
	h := hosttest.New(t)
	first := ensure(t, h, sleeper("web", "one"))
	if again := ensure(t, h, sleeper("web", "one")); again != first {
		t.Errorf("an unchanged program was restarted: process %d, then %d", first, again)
	}
	second := ensure(t, h, sleeper("web", "two"))
	if second == first || alive(first) || len(inSession(t, first)) != 0 {
		t.Errorf("a changed program runs as %d; the old one (%d) has left %v", second, first, inSession(t, first))
	}
	changed := sleeper("web", "three")
	changed.Keep = true
	if again := ensure(t, h, changed); again != second {
		t.Errorf("a program to be kept was restarted: process %d, then %d", second, again)
	}
	if other := ensure(t, h, sleeper("other", "one")); other == second {
		t.Error("two programs are one process")
	}
}

func TestStopEndsTheWholeSession(t *testing.T) {
	h := hosttest.New(t)
	pid := ensure(t, h, sleeper("web", "one"))
	if err := h.Service().Stop(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if left := inSession(t, pid); len(left) != 0 {
		t.Errorf("%v are left of the session", left)
	}
	if state, known := h.Service().State("web"); known {
		t.Errorf("it is still known: %+v", state)
	}
	if err := h.Service().Stop(t.Context(), "web"); err != nil {
		t.Errorf("stopped twice: %v", err)
	}
	if err := h.Service().Signal("web", syscall.SIGHUP); err == nil {
		t.Error("a stopped program took a signal")
	}
}

// A program that does not hear the first time that it is to end, since it is still starting, is asked again.
func TestStopIsAskedForAgain(t *testing.T) {
	h := hosttest.New(t)
	deaf := filepath.Join(hosttest.Root(t), "deaf")
	if err := syscall.Mkfifo(deaf, 0o600); err != nil {
		t.Fatal(err)
	}
	ensure(t, h, host.Program{
		Name: "web", Path: "/bin/sh", Stop: syscall.SIGUSR1, Grace: time.Hour,
		Args: []string{"-c", "trap '' USR1; echo > " + deaf + "; sleep 1; trap 'exit 0' USR1; while :; do sleep 0.1; done"},
	})
	if _, err := os.ReadFile(deaf); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := h.Service().Stop(ctx, "web"); err != nil {
		t.Fatal(err)
	}
}

// What outlives its leader is ended before the leader's next start; an end is counted and explained.
func TestProgramThatEndsIsStartedAgain(t *testing.T) {
	h := hosttest.New(t)
	first := ensure(t, h, sleeper("web", "one"))
	await(t, h, "web", "it has a child", func(host.ProgramState) bool { return len(inSession(t, first)) == 2 })
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	state := await(t, h, "web", "another process runs", func(s host.ProgramState) bool { return s.PID != 0 && s.PID != first })
	if state.Restarts != 1 {
		t.Errorf("the state is %+v; want 1 restart", state)
	}
	if left := inSession(t, first); len(left) != 0 {
		t.Errorf("%v are left of the old session", left)
	}
	if again := ensure(t, h, sleeper("web", "one")); again != state.PID {
		t.Errorf("an unchanged program was restarted: process %d, then %d", state.PID, again)
	}
}

// A program that always ends is started again and again, with growing pauses, and its log says why.
func TestCrashLoop(t *testing.T) {
	h := hosttest.New(t)
	p := host.Program{Name: "web", Path: "/bin/sh", Args: []string{"-c", "echo no luck; exit 3"}}
	if err := h.Service().Ensure(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	state := await(t, h, "web", "it has ended three times", func(s host.ProgramState) bool { return s.Restarts >= 3 && s.PID == 0 })
	if state.Error == "" {
		t.Error("nothing says how it ended")
	}
	text, err := h.Logs().Tail("web", 100)
	if err != nil || strings.Count(string(text), "no luck\n") < 3 {
		t.Errorf("the log is %q, %v", text, err)
	}
}

func TestProgramsAreAdopted(t *testing.T) {
	h := hosttest.New(t)
	kept, changed, stray := ensure(t, h, sleeper("kept", "one")), ensure(t, h, sleeper("changed", "one")), ensure(t, h, sleeper("stray", "one"))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = hosttest.Open(t, h.Root())
	if _, known := h.Service().State("kept"); known {
		t.Error("a program is known before anybody has asked for it")
	}
	if again := ensure(t, h, sleeper("kept", "one")); again != kept {
		t.Errorf("it was not adopted: process %d, then %d", kept, again)
	}
	if state, _ := h.Service().State("kept"); !state.Adopted {
		t.Errorf("the state is %+v; want Adopted", state)
	}
	if again := ensure(t, h, sleeper("changed", "two")); again == changed || len(inSession(t, changed)) != 0 {
		t.Errorf("a changed program was adopted, or the old one goes on: process %d, then %d", changed, again)
	}
	if err := h.Service().Keep(t.Context(), "kept", "changed"); err != nil {
		t.Fatal(err)
	}
	if len(inSession(t, stray)) != 0 || !alive(kept) {
		t.Errorf("Keep has left the stray (%v) or ended the kept one (%t)", inSession(t, stray), alive(kept))
	}
	// An adopted program is watched like any other.
	if err := syscall.Kill(kept, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, h, "kept", "another process runs", func(s host.ProgramState) bool { return s.PID != 0 && s.PID != kept })
}

// What an agent that was killed has left of a program whose leader ended meanwhile is ended, whether the program is
// wanted again or not.
func TestLeftoversOfADeadLeader(t *testing.T) {
	for name, next := range map[string]func(h *host.Host) error{
		"wanted":     func(h *host.Host) error { return h.Service().Ensure(t.Context(), sleeper("web", "one")) },
		"not wanted": func(h *host.Host) error { return h.Service().Keep(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			h := hosttest.New(t)
			pid := ensure(t, h, sleeper("web", "one"))
			await(t, h, "web", "it has a child", func(host.ProgramState) bool { return len(inSession(t, pid)) == 2 })
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for alive(pid) { // until the kill has arrived
			}
			if len(inSession(t, pid)) == 0 {
				t.Fatal("there are no leftovers")
			}
			if err := next(hosttest.Open(t, h.Root())); err != nil {
				t.Fatal(err)
			}
			if left := inSession(t, pid); len(left) != 0 {
				t.Errorf("%v are left of the old session", left)
			}
		})
	}
}

// Several programs may write one log, and none of their own then.
func TestProgramsThatShareALog(t *testing.T) {
	h := hosttest.New(t)
	for _, name := range []string{"one", "two"} {
		p := sleeper(name, name)
		p.Log = "both"
		ensure(t, h, p)
	}
	await(t, h, "two", "both have written", func(host.ProgramState) bool {
		text, err := h.Logs().Tail("both", 10)
		return err == nil && strings.Contains(string(text), "one ") && strings.Contains(string(text), "two ")
	})
	if names, err := h.Logs().Names(); err != nil || strings.Join(names, " ") != "both" {
		t.Errorf("there are the logs %v, %v", names, err)
	}
}

// A program of another user than the agent's is started, adopted and replaced like any other.
func TestProgramOfAnotherUser(t *testing.T) {
	h := hosttest.New(t)
	p := host.Program{Name: "web", Path: "/bin/sh", User: host.User{UID: 12345, GID: 54321, Groups: []int{7}}, Args: []string{
		"-c", "echo as $(id -u) $(id -g) $(id -G) in $(pwd) $(grep NoNewPrivs /proc/self/status); exec sleep 1000",
	}}
	pid := ensure(t, h, p)
	want := "as 12345 54321 54321 7 in " + h.Root() + " NoNewPrivs: 1"
	said, tick, limit := "", time.NewTicker(5*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for said != want {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it says %q; want %q", said, want)
		}
		text, err := h.Logs().Tail("web", 10)
		if err != nil {
			t.Fatal(err)
		}
		said = strings.Join(strings.Fields(string(text)), " ")
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = hosttest.Open(t, h.Root())
	if now := ensure(t, h, p); now != pid {
		t.Errorf("process %d was not adopted: %d runs", pid, now)
	}
	p.User.Groups = nil
	if now := ensure(t, h, p); now == pid {
		t.Error("other groups have changed nothing")
	}
}

func TestEnsureRefuses(t *testing.T) {
	h := hosttest.New(t)
	for _, name := range []string{"", "../web", "a/b", "UPPER", ".hidden", strings.Repeat("x", 64)} {
		if err := h.Service().Ensure(t.Context(), sleeper(name, "one")); err == nil {
			t.Errorf("the name %q was let through", name)
		}
	}
	missing := host.Program{Name: "web", Path: "/no/such/program"}
	if err := h.Service().Ensure(t.Context(), missing); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("a missing program: %v", err)
	}
	// The name is free for one that exists.
	ensure(t, h, sleeper("web", "one"))
}
