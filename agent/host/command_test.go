package host_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
)

func TestCommand(t *testing.T) {
	h := hosttest.New(t)
	for _, c := range []struct {
		script, want string
		user         host.User
		exit         int
	}{
		{"echo out; echo err >&2; exit 3", "out\nerr\n", host.User{}, 3},
		{"kill -9 $$", "", host.User{}, 137},
		{"id -u; id -g; echo $HOME $LANG $X", "12345\n54321\n/ C.UTF-8 y\n", host.User{UID: 12345, GID: 54321}, 0},
		{"cat", "", host.User{}, 0}, // nothing comes in
	} {
		out, exit, err := h.Command(t.Context(), host.Command{Path: "/bin/sh", Args: []string{"-c", c.script}, Env: []string{"X=y"}, User: c.user})
		if err != nil || exit != c.exit || string(out) != c.want {
			t.Errorf("%q gives %q, %d, %v; want %q, %d", c.script, out, exit, err, c.want, c.exit)
		}
	}
	out, exit, err := h.Command(t.Context(), host.Command{Path: "/bin/sh", Args: []string{"-c", "head -c 1000000 /dev/zero; exit 4"}})
	if err != nil || exit != 4 || len(out) != 64<<10 {
		t.Errorf("much output: %d bytes, %d, %v", len(out), exit, err)
	}
	if _, _, err := h.Command(t.Context(), host.Command{Path: "/no/such"}); err == nil || !strings.Contains(err.Error(), "/no/such") {
		t.Errorf("no program: %v", err)
	}
}

// What a command has started ends with it, and all of it when nobody waits any more.
func TestCommandEndsItsSession(t *testing.T) {
	h := hosttest.New(t)
	out, _, err := h.Command(t.Context(), host.Command{Path: "/bin/sh", Args: []string{"-c", "sleep 1000 & echo $!"}})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
			t.Errorf("process %d lives on", pid)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := h.Command(ctx, host.Command{Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; sleep 1000; sleep 1000"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command that takes too long: %v", err)
	}
}

// What a command reads and writes passes through, of any length; its other words are kept.
func TestCommandStreams(t *testing.T) {
	h := hosttest.New(t)
	text := strings.Repeat("0123456789", 100_000)
	var out strings.Builder
	words, exit, err := h.Command(t.Context(), host.Command{Path: "/bin/sh", Args: []string{"-c", "cat; echo done >&2"}, In: strings.NewReader(text), Out: &out})
	if err != nil || exit != 0 || string(words) != "done\n" || out.String() != text {
		t.Errorf("%d bytes came back, %q, %d, %v", out.Len(), words, exit, err)
	}
	// One that ends before it has read all is judged by its own word.
	endless := io.MultiReader(strings.NewReader(text), endlessly{})
	if words, exit, err := h.Command(t.Context(), host.Command{Path: "/bin/sh", Args: []string{"-c", "read line; echo enough; exit 3"}, In: endless}); err != nil || exit != 3 || string(words) != "enough\n" {
		t.Errorf("one that ends early: %q, %d, %v", words, exit, err)
	}
	broken := errors.New("nobody listens")
	if _, _, err := h.Command(t.Context(), host.Command{Path: "/bin/echo", Args: []string{"x"}, Out: failing{broken}}); !errors.Is(err, broken) {
		t.Errorf("nobody takes the output: %v", err)
	}
}

type endlessly struct{}

func (endlessly) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestDirectories(t *testing.T) {
	tree := hosttest.New(t).State()
	if names, err := tree.Directories("none"); err != nil || names != nil {
		t.Errorf("a missing directory has %v, %v", names, err)
	}
	for _, dir := range []string{"d/a", "d/b/c"} {
		if err := tree.Mkdir(dir, 0o755, host.User{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tree.Write("d/file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", tree.Path("d/link")); err != nil {
		t.Fatal(err)
	}
	if names, err := tree.Directories("d"); err != nil || strings.Join(names, " ") != "a b" {
		t.Errorf("the directories are %v, %v", names, err)
	}
	if err := tree.Flush("d"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"d/link", "../..", "d/file"} {
		if root, err := tree.Directory(name); err == nil {
			root.Close()
			t.Errorf("%s was opened", name)
		}
	}
	root, err := tree.Directory("d/b")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := root.Stat("c"); err != nil {
		t.Error(err)
	}
}
