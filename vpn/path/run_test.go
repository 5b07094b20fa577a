package path

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"conpaas/vpn"
	"conpaas/vpn/probe"
	"conpaas/vpn/wg"
)

// stub is a device and a prober for Run.
type stub struct {
	mu     sync.Mutex
	reads  []time.Duration
	began  time.Time
	took   time.Duration
	state  wg.PeerState
	keys   []string
	err    error
	set    []netip.AddrPort
	pinged int
}

func (d *stub) Peers() ([]wg.PeerState, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads = append(d.reads, time.Since(d.began))
	<-time.After(d.took)
	return []wg.PeerState{d.state}, d.err
}

func (d *stub) SetEndpoint(_ string, to netip.AddrPort) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set = append(d.set, to)
	d.state.Endpoint = to
	return nil
}

func (d *stub) Reset(key string, to netip.AddrPort) error { return d.SetEndpoint(key, to) }

func (*stub) Greet([]string) error { return nil }

func (d *stub) SetPeers(keys []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = slices.SortedFunc(slices.Values(keys), cmp.Compare[string])
	return nil
}

func (d *stub) Ping(string, netip.AddrPort, uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pinged++
	return nil
}

func (d *stub) Run(ctx context.Context, _ func(probe.Answer)) error {
	<-ctx.Done()
	return nil
}

// broken is a prober that ends.
type broken struct{ stub }

var errBroken = errors.New("broken")

func (*broken) Run(context.Context, func(probe.Answer)) error { return errBroken }

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSelector("a", time.Second)
		s.SetPeers([]vpn.Peer{{Name: "p", Key: "peer", Endpoint: direct}})
		d := &stub{began: time.Now(), state: wg.PeerState{Key: "peer"}, took: 100 * time.Millisecond}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx, slog.New(slog.DiscardHandler), d, d) }()
		<-time.After(11 * time.Second)
		synctest.Wait()
		s.SetRelays([]Relay{first})
		<-time.After(10 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		// Reading takes 0.1 s, so a read each 5 s keeps it at a fiftieth.
		if len(d.reads) < 4 || len(d.reads) > 6 {
			t.Errorf("the device was read at %v, want each 5 s", d.reads)
		}
		if want := []string{"peer", first.Key}; !slices.Equal(d.keys, want) {
			t.Errorf("the prober's peers are %v, want %v", d.keys, want)
		}
		if len(d.set) == 0 || d.set[0] != direct || d.pinged == 0 {
			t.Errorf("endpoints set: %v, pings: %d", d.set, d.pinged)
		}
	})
}

func TestRunEndsWithItsProber(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := NewSelector("a", time.Second)
	if err := s.Run(t.Context(), slog.New(slog.DiscardHandler), &stub{}, &broken{}); !errors.Is(err, errBroken) {
		t.Errorf("Run: %v, want the prober's error", err)
	}
}

func TestRunOutlivesADeviceThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &stub{began: time.Now(), state: wg.PeerState{Key: "peer"}, err: errBroken}
		s := NewSelector("a", time.Second)
		s.SetPeers([]vpn.Peer{{Key: "peer", Endpoint: direct}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx, slog.New(slog.DiscardHandler), d, nil) }()
		<-time.After(5 * time.Second)
		d.mu.Lock()
		d.err = nil
		d.mu.Unlock()
		<-time.After(2 * time.Second)
		cancel()
		if err := <-done; err != nil || len(d.set) != 1 || d.pinged != 0 {
			t.Errorf("Run: %v; endpoints set: %v, pings: %d", err, d.set, d.pinged)
		}
	})
}
