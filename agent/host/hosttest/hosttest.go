// Package hosttest gives tests a host of their own: a real one in a temporary directory, whose programs end with
// the test.
package hosttest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"conpaas/agent/host"
)

// Root makes a temporary root that the users of the machine can look into, as workers of nginx must.
func Root(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{root, filepath.Dir(root)} { // the testing package makes the outer one for root alone
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// New opens a host in a root of its own. Its programs are ended with the test.
func New(t testing.TB) *host.Host {
	t.Helper()
	return Open(t, Root(t))
}

// Open opens a host in a root, also one that a host has used before, whose programs it then adopts. They are ended with the test.
func Open(t testing.TB, root string) *host.Host {
	t.Helper()
	h, err := host.Open(host.Options{Root: root, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { End(t, h) })
	return h
}

// End ends everything that a host runs, and lets go of it. Calling it for a closed host ends what that host has left.
func End(t testing.TB, h *host.Host) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, s := range []*host.Supervisor{h.Service(), h.System()} {
		if err := s.Keep(ctx); err != nil {
			t.Errorf("end the programs of the test: %v", err)
		}
	}
	if err := h.Close(); err != nil {
		t.Errorf("close the host of the test: %v", err)
	}
}
