package hosting

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A proxy that was started just now, and has no sockets yet, is asked until it answers.
func TestProxyThatDoesNotAnswerYet(t *testing.T) {
	w := newWorkshop(t)
	done := make(chan error, 1)
	go func() { done <- switchVersion(t.Context(), w.p, "code-abc234") }()
	select {
	case err := <-done:
		t.Fatalf("it is given up at once: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	answering(t, masterSocket(w.p), "")
	answering(t, haproxySocket(w.p), "0x55d5c48b5a00 "+mapKey+" code-abc234\n")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// answering has a socket that says the same to everybody.
func answering(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() { listener.Close(); group.Wait() })
	group.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1<<10))
			_, _ = fmt.Fprint(c, text)
			c.Close()
		}
	})
}
