package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

func newLogs(t *testing.T) *Logs { return &Logs{tree: newTree(t)} }

func (l *Logs) put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(l.tree.Path(file), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTail(t *testing.T) {
	l := newLogs(t)
	l.put(t, "web.log", "3\n4\n5")
	l.put(t, "web.log.1", "1\n2\n")
	for _, c := range []struct {
		lines int
		want  string
	}{{0, ""}, {-1, ""}, {1, "5"}, {2, "4\n5"}, {3, "3\n4\n5"}, {4, "2\n3\n4\n5"}, {100, "1\n2\n3\n4\n5"}} {
		got, err := l.Tail("web", c.lines)
		if err != nil || string(got) != c.want {
			t.Errorf("Tail(%d) = %q, %v; want %q", c.lines, got, err, c.want)
		}
	}
}

// The last n lines are always what splitting the whole text gives.
func TestLastLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ab\n]{0,40}`).Draw(t, "text")
		n := rapid.IntRange(1, 12).Draw(t, "n")
		lines := strings.SplitAfter(text, "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		want := strings.Join(lines[max(0, len(lines)-n):], "")
		if got := string(lastLines([]byte(text), n)); got != want {
			t.Fatalf("lastLines(%q, %d) = %q; want %q", text, n, got, want)
		}
	})
}

func TestLogNames(t *testing.T) {
	l := newLogs(t)
	for _, f := range []string{"web.log", "agent.log", "web.log.1", "note.txt", ".hidden.log", "UPPER.log"} {
		l.put(t, f, "x\n")
	}
	if err := os.Symlink("/etc/passwd", l.tree.Path("link.log")); err != nil {
		t.Fatal(err)
	}
	names, err := l.Names()
	if err != nil || !slices.Equal(names, []string{"agent", "web"}) {
		t.Errorf("Names = %v, %v; want agent and web", names, err)
	}
	for _, name := range []string{"../secret", "link", "web.log", "", "none", "UPPER", "/etc/passwd", strings.Repeat("a", 200)} {
		if text, err := l.Tail(name, 10); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Tail(%q) = %q, %v; want fs.ErrNotExist", name, text, err)
		}
		if err := l.Follow(t.Context(), name, 10, &bytes.Buffer{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Follow(%q) = %v; want fs.ErrNotExist", name, err)
		}
	}
}

// sink gathers what is written and can be waited on.
type sink struct {
	mu   sync.Mutex
	cond *sync.Cond
	text strings.Builder
}

func newSink() *sink { s := &sink{}; s.cond = sync.NewCond(&s.mu); return s }

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	s.cond.Broadcast()
	return len(p), nil
}

// await waits until the text is want; the test's own time limit ends a wait in vain.
func (s *sink) await(want string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.text.String() != want {
		s.cond.Wait()
	}
}

func TestFollowOverRotation(t *testing.T) {
	l := newLogs(t)
	w, err := l.Writer("web")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fmt.Fprintln(w, "old")
	fmt.Fprintln(w, "one")
	ctx, cancel := context.WithCancel(t.Context())
	out := newSink()
	done := make(chan error, 1)
	go func() { done <- l.Follow(ctx, "web", 1, out) }()
	out.await("one\n")
	fmt.Fprintln(w, "two")
	out.await("one\ntwo\n")
	fmt.Fprintln(w, "three") // not read yet when the file is moved away
	w.mu.Lock()
	if err := w.rotate(); err != nil {
		t.Fatal(err)
	}
	w.mu.Unlock()
	fmt.Fprintln(w, "four")
	out.await("one\ntwo\nthree\nfour\n")
	if err := os.Truncate(l.Path("web"), 0); err != nil { // as a rotation by copying does
		t.Fatal(err)
	}
	fmt.Fprintln(w, "5")
	out.await("one\ntwo\nthree\nfour\n5\n")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow ended with %v; want context.Canceled", err)
	}
}

func TestWriterRotates(t *testing.T) {
	l := newLogs(t)
	w, err := l.Writer("agent")
	if err != nil {
		t.Fatal(err)
	}
	line := bytes.Repeat([]byte("x"), 1<<20)
	for range 25 {
		if n, err := w.Write(line); err != nil || n != len(line) {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"agent.log", "agent.log.1"} {
		info, err := os.Stat(l.tree.Path(f))
		if err != nil || info.Size() > maxLog || info.Size() == 0 {
			t.Errorf("%s has %d bytes, %v; want between 1 and %d", f, info.Size(), err, maxLog)
		}
	}
}

// A log that a program of another user writes is that user's, and keeps what it has.
func TestMakeLog(t *testing.T) {
	l := newLogs(t)
	for range 2 {
		if err := l.Make("slow", User{UID: 65534, GID: 65534}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.Path("slow"), []byte("kept"), 0); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(l.Path("slow"))
	if err != nil || info.Size() != 4 || info.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("it is %+v, %v", info, err)
	}
	if err := l.Make("../slow", User{}); err == nil {
		t.Error("a name leads out")
	}
}
