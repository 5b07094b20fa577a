package host

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"conpaas/client/api"
)

func newHost(t *testing.T) *Host {
	t.Helper()
	h, err := Open(Options{Root: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range []*Supervisor{h.Service(), h.System()} {
			if err := s.Keep(context.Background()); err != nil {
				t.Error(err)
			}
		}
		h.Close()
	})
	return h
}

// record runs a command and gathers its frames.
func record(t *testing.T, h *Host, ctx context.Context, r api.ExecRequest) (stdout, stderr string, last api.ExecFrame) {
	t.Helper()
	var out, errs bytes.Buffer
	err := h.Exec(ctx, r, func(f api.ExecFrame) error {
		out.Write(f.Stdout)
		errs.Write(f.Stderr)
		last = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), last
}

func TestExec(t *testing.T) {
	h := newHost(t)
	for _, c := range []struct {
		name           string
		command        []string
		stdin          string
		stdout, stderr string
		exit           int
		failure        string
	}{
		{"output", []string{"sh", "-c", "echo out; echo err >&2; exit 3"}, "", "out\n", "err\n", 3, ""},
		{"stdin", []string{"cat"}, "hello", "hello", "", 0, ""},
		{"no shell", []string{"echo", "$(id)", ";", "*"}, "", "$(id) ; *\n", "", 0, ""},
		{"signal", []string{"sh", "-c", "kill -9 $$"}, "", "", "", 137, ""},
		{"missing", []string{"no-such-program"}, "", "", "", 0, "no-such-program"},
		{"environment", []string{"env"}, "", "PATH=" + programPath + "\nHOME=/root\nLANG=C.UTF-8\nTERM=dumb\n", "", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, last := record(t, h, t.Context(), api.ExecRequest{Command: c.command, Stdin: []byte(c.stdin)})
			if c.failure != "" {
				if !strings.Contains(last.Error, c.failure) || last.Exit != nil {
					t.Fatalf("last frame %+v; want an error with %q", last, c.failure)
				}
				return
			}
			if last.Exit == nil || *last.Exit != c.exit || stdout != c.stdout || stderr != c.stderr {
				t.Errorf("stdout %q, stderr %q, last %+v", stdout, stderr, last)
			}
		})
	}
}

// What a command leaves in its session is killed with it, and cannot keep the call open by holding its output.
func TestExecKillsItsSession(t *testing.T) {
	h := newHost(t)
	out, _, last := record(t, h, t.Context(), api.ExecRequest{Command: []string{"sh", "-c", "sleep 1000 & echo $!"}})
	if last.Exit == nil || *last.Exit != 0 {
		t.Fatalf("last frame %+v", last)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil && !strings.Contains(string(stat), ") Z ") {
		t.Errorf("process %d lives on: %s", pid, stat)
	}
}

func TestExecTimeout(t *testing.T) {
	h := newHost(t)
	_, _, last := record(t, h, t.Context(), api.ExecRequest{Command: []string{"sleep", "1000"}, Timeout: 1})
	if last.Exit != nil || !strings.Contains(last.Error, "longer than 1s") {
		t.Errorf("last frame %+v; want an error that names the limit", last)
	}
}

func TestExecEndsWithItsReader(t *testing.T) {
	h := newHost(t)
	gone := errors.New("the reader is gone")
	err := h.Exec(t.Context(), api.ExecRequest{Command: []string{"sh", "-c", "echo x; sleep 1000"}}, func(api.ExecFrame) error { return gone })
	if !errors.Is(err, gone) {
		t.Errorf("Exec = %v; want the error of emit", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = h.Exec(ctx, api.ExecRequest{Command: []string{"sh", "-c", "echo x; sleep 1000"}}, func(api.ExecFrame) error { cancel(); return nil })
	if err != nil {
		t.Error(err)
	}
}

func TestExecRefuses(t *testing.T) {
	h := newHost(t)
	never := func(api.ExecFrame) error { t.Error("something ran"); return nil }
	for name, r := range map[string]api.ExecRequest{
		"nothing":    {},
		"empty name": {Command: []string{""}},
		"NUL":        {Command: []string{"echo", "a\x00b"}},
		"arguments":  {Command: make([]string, maxArguments+1)},
		"long":       {Command: []string{"echo", strings.Repeat("x", maxCommand)}},
		"stdin":      {Command: []string{"cat"}, Stdin: make([]byte, maxStdin+1)},
		"timeout":    {Command: []string{"cat"}, Timeout: 3601},
		"negative":   {Command: []string{"cat"}, Timeout: -1},
	} {
		if err := h.Exec(t.Context(), r, never); api.CodeFrom(err) != api.CodeInvalid {
			t.Errorf("%s: %v; want %s", name, err, api.CodeInvalid)
		}
	}
}

func TestExecsAreBounded(t *testing.T) {
	h := newHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running, all sync.WaitGroup
	for range maxExecs {
		running.Add(1)
		all.Go(func() {
			first := sync.OnceFunc(running.Done)
			h.Exec(ctx, api.ExecRequest{Command: []string{"sh", "-c", "echo x; sleep 1000"}}, func(api.ExecFrame) error { first(); return nil })
		})
	}
	running.Wait()
	err := h.Exec(t.Context(), api.ExecRequest{Command: []string{"true"}}, func(api.ExecFrame) error { return nil })
	if api.CodeFrom(err) != api.CodeThrottled {
		t.Errorf("one more command: %v; want %s", err, api.CodeThrottled)
	}
	cancel()
	all.Wait()
	if _, _, last := record(t, h, t.Context(), api.ExecRequest{Command: []string{"true"}}); last.Exit == nil {
		t.Errorf("after the others have ended: %+v", last)
	}
}
