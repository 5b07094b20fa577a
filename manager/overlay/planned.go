//go:build linux

package overlay

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"conpaas/client/api"
)

// statusPeers is how many peers a status names at most, so that it fits into one line of a stream.
const statusPeers = 8192

func first(peers []api.PeerStatus) []api.PeerStatus { return peers[:min(len(peers), statusPeers)] }

// Planned is the end of a network whose addresses are dealt out and that is not brought up (runtime "process").
type Planned struct {
	mu    sync.Mutex
	peers []api.PeerStatus
}

// Configure notes the peers.
func (p *Planned) Configure(_ context.Context, peers []api.Peer, _ []api.Relay) error {
	status := make([]api.PeerStatus, len(peers))
	for i, peer := range peers {
		status[i] = api.PeerStatus{Peer: peer.Node, Path: api.PathPlanned, Endpoint: peer.Endpoint}
	}
	slices.SortFunc(status, func(a, b api.PeerStatus) int { return cmp.Compare(a.Peer, b.Peer) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers = first(status)
	return nil
}

// Run waits for the end of ctx.
func (*Planned) Run(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// Relay gives nil: there is nothing to relay.
func (*Planned) Relay() *api.Relay { return nil }

// Status gives "none" and the peers as planned.
func (p *Planned) Status() (string, []api.PeerStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return "none", p.peers
}
