package wg_test

import (
	"context"
	"log/slog"
	"math"
	"runtime/debug"
	"testing"

	"conpaas/vpn/wg"
	"conpaas/vpn/wgtest"
)

// The process that carries the datagrams bounds its memory before it does anything else.
func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := wgtest.NewSpace(t).Do(func() error {
		return wg.RunUserspace(ctx, slog.New(slog.DiscardHandler), wgtest.InterfaceName(), 0)
	})
	// An error may come of closing the control socket as soon as it is there; the limit was set before.
	if limit := debug.SetMemoryLimit(-1); limit != 128<<20 {
		t.Errorf("the limit is %d bytes, want 128 MiB (%v)", limit, err)
	}
}
