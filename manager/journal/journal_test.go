package journal

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func write(t *testing.T, j *Journal, text string) {
	t.Helper()
	if _, err := j.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, j *Journal, lines int) string {
	t.Helper()
	r, err := j.Read(t.Context(), lines, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log", "manager.log")
	j := open(t, path)
	if got := read(t, j, 5); got != "" {
		t.Errorf("an empty log gives %q", got)
	}
	write(t, j, "a\nb\n")
	write(t, j, "c\n")
	for lines, want := range map[int]string{0: "", 1: "c\n", 2: "b\nc\n", 3: "a\nb\nc\n", 9: "a\nb\nc\n", -1: ""} {
		if got := read(t, j, lines); got != want {
			t.Errorf("the last %d lines are %q, want %q", lines, got, want)
		}
	}
	again := open(t, path)
	write(t, again, "d\n")
	if got := read(t, again, 2); got != "c\nd\n" {
		t.Errorf("after it was opened again the last lines are %q", got)
	}
}

func TestBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manager.log")
	j := open(t, path)
	line := strings.Repeat("x", 1<<20-1) + "\n"
	for range 25 {
		write(t, j, line)
	}
	for _, name := range []string{path, path + oldSuffix} {
		info, err := os.Stat(name)
		if err != nil || info.Size() > fileMax {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	write(t, j, "end\n")
	if got := read(t, j, 1); got != "end\n" {
		t.Errorf("the last line is %.20q", got)
	}
}

func TestLinesOfTheOldFile(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "manager.log"))
	write(t, j, "a\nb\n")
	j.mu.Lock()
	err := j.turn()
	j.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	write(t, j, "c\n")
	if got := read(t, j, 2); got != "b\nc\n" {
		t.Errorf("the last two lines are %q", got)
	}
}

// A reader that follows gets every line once, over changes of the file too, and ends when it is not wanted any more.
func TestFollow(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "manager.log"))
	write(t, j, "old\nnewest\n")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := j.Read(ctx, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	lines := bufio.NewScanner(r)
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the next line is %q (%v), want %q", lines.Text(), lines.Err(), want)
		}
	}
	next("newest")
	for i := range 50 {
		if i%20 == 10 {
			write(t, j, fmt.Sprintf("before %d\n", i))
			j.mu.Lock()
			err := j.turn()
			j.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			write(t, j, fmt.Sprintf("after %d\n", i))
			next(fmt.Sprintf("before %d", i))
			next(fmt.Sprintf("after %d", i))
		}
		write(t, j, fmt.Sprintf("%d\n", i))
		next(fmt.Sprint(i))
	}
	ended := make(chan bool)
	go func() { ended <- lines.Scan() }()
	cancel()
	if <-ended {
		t.Errorf("after its end the reader gives %q", lines.Text())
	}
}

func TestCloseEndsReaders(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "manager.log"))
	r, err := j.Read(t.Context(), 1, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ended := make(chan error)
	go func() { _, err := io.ReadAll(r); ended <- err }()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := j.Write([]byte("x\n")); err == nil {
		t.Error("a closed log is written to")
	}
}
