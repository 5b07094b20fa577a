package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"conpaas/client/api"
	"conpaas/client/manager"
)

// farm are machines that write logs.
type farm struct {
	mu    sync.Mutex
	nodes []api.Node
	logs  map[string]*io.PipeWriter // of a machine, while it is followed
	parts map[string][]int          // the lines that were asked for
	err   error                     // of the list of machines
}

func (f *farm) list(context.Context) ([]api.Node, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.nodes), f.err
}

func (f *farm) log(ctx context.Context, id api.NodeID, name string, part manager.LogRange) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	title := logTitle(id, name)
	in, out := io.Pipe()
	context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	f.logs[title] = out
	f.parts[title] = append(f.parts[title], part.Lines)
	return in, nil
}

// write waits until a log is followed, and writes to it.
func (f *farm) write(t *testing.T, title, text string) {
	t.Helper()
	for {
		f.mu.Lock()
		out := f.logs[title]
		f.mu.Unlock()
		if out != nil {
			if _, err := io.WriteString(out, text); err != nil {
				t.Error(err)
			}
			return
		}
		select {
		case <-t.Context().Done():
			t.Error("it is not followed")
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// cut breaks a log off.
func (f *farm) cut(title string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logs[title].CloseWithError(errors.New("broken"))
	f.logs[title] = nil
}

func TestLogsOfAServiceAreFollowed(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	f := &farm{logs: map[string]*io.PipeWriter{}, parts: map[string][]int{}}
	add := func(id api.NodeID) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.nodes = append(f.nodes, api.Node{ID: id, Role: api.HelloworldNode, State: api.NodeReady})
	}
	add("n2")
	row, _ := api.FindServiceKind(api.Helloworld)
	news := make(chan struct{}, 1)
	m := &merged{service: "hello", row: row, kind: api.LogError, part: manager.LogRange{Lines: 7, Follow: true}, nodes: f.list, log: f.log, retry: time.Millisecond}
	text := m.start(t.Context(), news, func() {})
	lines := bufio.NewReader(text)
	read := func(want string) {
		t.Helper()
		if line, err := lines.ReadString('\n'); err != nil || line != want+"\n" {
			t.Fatalf("got %q, %v; want %q", line, err, want)
		}
	}
	go f.write(t, "n2 nginx", "one\n")
	read("n2 nginx: one")
	// A machine that comes is followed, too; lines of both come as they are written.
	add("n3")
	news <- struct{}{}
	go f.write(t, "n3 nginx", "two\n")
	read("n3 nginx: two")
	go f.write(t, "n2 nginx", "three\n"+strings.Repeat("x", followedLine)+"\n")
	read("n2 nginx: three")
	read("n2 nginx: " + strings.Repeat("x", followedLine))
	read("n2 nginx: ")
	// One that breaks off goes on where it was, or says that it does not know.
	for _, again := range []string{"", "four"} {
		f.cut("n2 nginx")
		news <- struct{}{}
		go f.write(t, "n2 nginx", again+"\nfive\n")
		if again != "" {
			read("n2 nginx: (it had broken off, lines may be missing)")
			read("n2 nginx: four")
		}
		read("n2 nginx: five")
	}
	if got := fmt.Sprint(f.parts); got != "map[n2 nginx:[7 1 1] n3 nginx:[7]]" {
		t.Errorf("asked for %s lines", got)
	}
	// Who may not see the service any more sees its end.
	f.mu.Lock()
	f.err = api.Errorf(api.CodeNotFound, "there is no such service")
	f.mu.Unlock()
	news <- struct{}{}
	if _, err := lines.ReadString('\n'); api.CodeFrom(err) != api.CodeNotFound {
		t.Errorf("it ends with %v", err)
	}
	if err := text.Close(); err != nil {
		t.Error(err)
	}
}

func TestFollowedLogsEndWithTheirReader(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	f := &farm{logs: map[string]*io.PipeWriter{}, parts: map[string][]int{}}
	for i := range mostFollowed + 1 {
		f.nodes = append(f.nodes, api.Node{ID: api.NodeID(fmt.Sprint("n", i)), State: api.NodeReady})
	}
	start := func() io.ReadCloser {
		return (&merged{service: "hello", kind: api.LogAgent, nodes: f.list, log: f.log, retry: time.Millisecond}).start(t.Context(), nil, func() {})
	}
	text := start()
	if _, err := text.Read(make([]byte, 1)); api.CodeFrom(err) != api.CodeUnsupported {
		t.Errorf("more logs than can be followed: %v", err)
	}
	text.Close()
	f.nodes, f.logs = f.nodes[:2], map[string]*io.PipeWriter{}
	text = start()
	f.write(t, "n1", "") // it is followed
	text.Close()
}
