//go:build linux

package path

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"conpaas/vpn/probe"
	"conpaas/vpn/wg"
)

// Device is what the selector changes; a *wg.Device is one.
type Device interface {
	Peers() ([]wg.PeerState, error)
	SetEndpoint(key string, to netip.AddrPort) error
	Reset(key string, to netip.AddrPort) error
	Greet(keys []string) error
}

// Prober sends probes and hands on the answers; a *probe.Prober is one.
type Prober interface {
	SetPeers(keys []string) error
	Ping(key string, at netip.AddrPort, nonce uint64) error
	Run(ctx context.Context, got func(probe.Answer)) error
}

var (
	_ Device = (*wg.Device)(nil)
	_ Prober = (*probe.Prober)(nil)
)

// readShare is the largest share of the time, as 1/n, that is spent on reading the device's peers.
const readShare = 50

// Run keeps the device's peers on paths that work until ctx ends. Without a prober (nil) broken paths are
// noticed later and the direct path is tried again only when nothing is sent. The error is the prober's end.
func (s *Selector) Run(ctx context.Context, log *slog.Logger, device Device, prober Prober) error {
	s.mu.Lock()
	s.blind = prober == nil
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	ended := make(chan error, 1)
	if prober != nil {
		running.Go(func() {
			ended <- prober.Run(ctx, func(a probe.Answer) { s.Answer(time.Now(), a) })
		})
	}
	var edits uint64
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case <-timer.C:
		case <-s.wake:
		}
		if keys, now := s.keys(); prober != nil && now != edits {
			if err := prober.SetPeers(keys); err != nil {
				log.Warn("overlay paths: peers of the prober", "err", err)
			}
			edits = now
		}
		began := time.Now()
		states, err := device.Peers()
		took := time.Since(began)
		timer.Reset(max(s.pace, readShare*took))
		if err != nil {
			log.Warn("overlay paths: read the device", "err", err)
			continue
		}
		s.act(log, device, prober, states)
	}
}

// act takes one step.
func (s *Selector) act(log *slog.Logger, device Device, prober Prober, states []wg.PeerState) {
	changes, pings := s.Step(time.Now(), states)
	var early []string
	for _, c := range changes {
		if c.Greet {
			early = append(early, c.Key)
			continue
		}
		do := device.SetEndpoint
		if c.Reset {
			do = device.Reset
		}
		if err := do(c.Key, c.Endpoint); err != nil {
			log.Warn("overlay paths: change an endpoint", "peer", c.Key, "endpoint", c.Endpoint, "err", err)
			continue
		}
		log.Info("overlay path changed", "peer", c.Key, "endpoint", c.Endpoint, "reset", c.Reset, "why", c.Why)
	}
	if len(early) > 0 {
		if err := device.Greet(early); err != nil {
			log.Warn("overlay paths: greet peers that had knocked", "peers", len(early), "err", err)
		} else {
			log.Info("overlay peers that had knocked before they were known are greeted", "peers", early)
		}
	}
	for _, p := range pings {
		if err := prober.Ping(p.Key, p.At, p.Nonce); err != nil {
			// No way there at all is an answer too: the ping is missed.
			log.Debug("overlay paths: ping", "peer", p.Key, "endpoint", p.At, "err", err)
		}
	}
}
