//go:build !windows

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be a program that uses Run: the words after -program say what its main does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-program" {
		os.Exit(Run(programs[os.Args[2]]))
	}
	os.Exit(m.Run())
}

type coded int

func (c coded) Error() string { return "coded" }
func (c coded) ExitCode() int { return int(c) }

var programs = map[string]func(context.Context) error{
	"good":  func(context.Context) error { return nil },
	"bad":   func(context.Context) error { return errors.New("the disk is full") },
	"coded": func(context.Context) error { return fmt.Errorf("wrapped: %w", coded(7)) },
	"wait": func(ctx context.Context) error {
		fmt.Println("ready")
		<-ctx.Done()
		return fmt.Errorf("serve: %w", ctx.Err())
	},
	"bad end": func(ctx context.Context) error {
		fmt.Println("ready")
		<-ctx.Done()
		return errors.New("the disk is full")
	},
	"deaf": func(ctx context.Context) error {
		fmt.Println("ready")
		<-ctx.Done()
		<-make(chan struct{})
		return nil
	},
}

func TestRun(t *testing.T) {
	for _, test := range []struct {
		program string
		signals []syscall.Signal
		code    int
		says    string
	}{
		{"good", nil, 0, ""},
		{"bad", nil, 1, "daemon.test: the disk is full\n"},
		{"coded", nil, 7, "daemon.test: wrapped: coded\n"},
		{"wait", []syscall.Signal{syscall.SIGTERM}, 0, ""},
		{"wait", []syscall.Signal{syscall.SIGINT}, 0, ""},
		{"bad end", []syscall.Signal{syscall.SIGTERM}, 1, "daemon.test: the disk is full\n"},
	} {
		t.Run(fmt.Sprint(test.program, test.signals), func(t *testing.T) {
			program := exec.Command(os.Args[0], "-program", test.program)
			var stderr bytes.Buffer
			program.Stderr = &stderr
			stdout, err := program.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := program.Start(); err != nil {
				t.Fatal(err)
			}
			for _, signal := range test.signals {
				if _, err := stdout.Read(make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
				program.Process.Signal(signal)
			}
			program.Wait()
			if code := program.ProcessState.ExitCode(); code != test.code || stderr.String() != test.says {
				t.Errorf("exit code %d, says %q; want %d, %q", code, stderr.String(), test.code, test.says)
			}
		})
	}
}

// A program that does not heed its context is ended by another signal.
func TestRunAndDeafMain(t *testing.T) {
	program := exec.Command(os.Args[0], "-program", "deaf")
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer program.Process.Kill()
	if _, err := stdout.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	limit := time.After(30 * time.Second)
	for {
		select {
		case <-ended:
			return
		case <-again.C:
			program.Process.Signal(syscall.SIGTERM)
		case <-limit:
			t.Fatal("it is still there after 30 s of TERM")
		}
	}
}

func TestUndo(t *testing.T) {
	var order []string
	add := func(u *Undo, name string, err error) {
		u.Add(name, func() error { order = append(order, name); return err })
	}
	first, second := errors.New("first"), errors.New("second")
	var u Undo
	add(&u, "a", first)
	add(&u, "b", nil)
	add(&u, "c", second)
	err := u.Run()
	if !errors.Is(err, first) || !errors.Is(err, second) || !strings.Contains(err.Error(), "undo c: second") {
		t.Errorf("the error is %v", err)
	}
	if !slices.Equal(order, []string{"c", "b", "a"}) {
		t.Errorf("the order was %v", order)
	}
	if err := u.Run(); err != nil || len(order) != 3 {
		t.Errorf("a second run did %v, %v", order, err)
	}
	add(&u, "d", nil)
	u.Keep()
	if err := u.Run(); err != nil || len(order) != 3 {
		t.Errorf("after Keep: %v, %v", order, err)
	}
}

func TestWriteFile(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, test := range []struct {
		text string
		mode os.FileMode
	}{{"one", 0o644}, {"", 0o600}, {strings.Repeat("x", 1<<20), 0o755}} {
		if err := WriteFile(path, []byte(test.text), test.mode); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		info, _ := os.Stat(path)
		if err != nil || string(got) != test.text || info.Mode().Perm() != test.mode {
			t.Errorf("%d bytes of mode %v, %v; want %d of %v", len(got), info.Mode(), err, len(test.text), test.mode)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	gone := filepath.Join(dir, "none", "file")
	if err := WriteFile(gone, nil, 0o600); err == nil || !strings.Contains(err.Error(), gone) {
		t.Errorf("without a directory: %v", err)
	}
}

// Readers must see the old or the new content, never a part.
func TestWriteFileIsAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	contents := []string{strings.Repeat("a", 100_000), strings.Repeat("b", 200_000)}
	if err := WriteFile(path, []byte(contents[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for i := range 50 {
			if err := WriteFile(path, []byte(contents[i%2]), 0o600); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
			if got, err := os.ReadFile(path); err != nil || !slices.Contains(contents, string(got)) {
				t.Fatalf("read %d bytes, %v", len(got), err)
			}
		}
	}
}

func TestLogger(t *testing.T) {
	defer func(zone *time.Location) { time.Local = zone }(time.Local)
	time.Local = time.FixedZone("east", 3600)
	var text, object bytes.Buffer
	for _, log := range []*slog.Logger{Logger(&text, slog.LevelInfo, false), Logger(&object, slog.LevelInfo, true)} {
		log.Debug("hidden")
		log.Info("shown", KeyNode, "n1")
	}
	var line struct {
		Time time.Time
		Msg  string
		Node string
	}
	if err := json.Unmarshal(object.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if zone, offset := line.Time.Zone(); line.Msg != "shown" || line.Node != "n1" || offset != 0 {
		t.Errorf("got %+v in zone %s", line, zone)
	}
	if got := text.String(); strings.Contains(got, "hidden") || !strings.Contains(got, "Z level=INFO msg=shown node=n1\n") {
		t.Errorf("got %q", got)
	}
}
