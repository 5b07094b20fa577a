package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// endless is a text without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// failing is a stream that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestPipe(t *testing.T) {
	h := newHost(t)
	torn := errors.New("torn")
	for name, c := range map[string]struct {
		script string
		in     io.Reader
		out    io.Writer
		stdout string
		stderr string
		exit   int
		err    error
	}{
		"through":            {"cat; echo done >&2", strings.NewReader("text"), nil, "text", "done\n", 0, nil},
		"no input":           {"cat; echo none", nil, nil, "none\n", "", 0, nil},
		"much":               {"head -c 30000000 | wc -c", io.LimitReader(endless{}, 30_000_000), nil, "30000000\n", "", 0, nil},
		"status":             {"echo wrong >&2; exit 3", endless{}, nil, "", "wrong\n", 3, nil},
		"input breaks off":   {"cat > /dev/null; echo all of it", io.MultiReader(strings.NewReader("half"), failing{torn}), nil, "", "", 0, torn},
		"output breaks off":  {"cat /dev/zero", nil, failing{torn}, "", "", 0, torn},
		"no such program":    {"exec /nothing", nil, nil, "", "", 127, nil},
		"a child that stays": {"sleep 1000 & echo gone", nil, nil, "gone\n", "", 0, nil},
	} {
		var stdout bytes.Buffer
		if c.out == nil {
			c.out = &stdout
		}
		stderr, exit, err := h.Pipe(t.Context(), Command{Path: "/bin/sh", Args: []string{"-c", c.script}}, c.in, c.out)
		if exit != c.exit || !errors.Is(err, c.err) || stdout.String() != c.stdout || name != "no such program" && string(stderr) != c.stderr {
			t.Errorf("%s: %q, %q, %d, %v", name, stdout.String(), stderr, exit, err)
		}
	}
}

// The end of the context ends the program and its children, though its input has not ended.
func TestPipeEndsWithItsContext(t *testing.T) {
	h := newHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	marks := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(marks, 0o600); err != nil {
		t.Fatal(err)
	}
	mark, err := os.OpenFile(marks, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer mark.Close()
	in, _ := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, _, err := h.Pipe(ctx, Command{Path: "/bin/sh", Args: []string{"-c", "(echo $$ > " + marks + "; cat) & wait"}}, in, io.Discard)
		done <- err
	}()
	if _, err := mark.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
