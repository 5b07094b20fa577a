package app

import (
	"cmp"
	"context"
	"slices"

	"conpaas/client/api"
)

const dataPlaneNone = "none"

// overlay is the node's end of the overlay network: a real one, or the planned one of a runtime without networks.
type overlay interface {
	// dataPlane names what carries the datagrams: userspace, kernel or none.
	dataPlane() string
	// sync makes the machine's network what App.network says now. Repeating it disturbs nothing.
	sync(ctx context.Context) error
	// ready is closed when sync has succeeded for the first time.
	ready() <-chan struct{}
	// run keeps it so, chooses paths and reports the peers until ctx ends.
	run(ctx context.Context)
}

var (
	_ overlay = (*planned)(nil)
	_ overlay = (*wireguard)(nil)
)

func (a *App) makeOverlay() (err error) {
	if a.active() {
		a.overlay, err = newWireguard(a)
		return err
	}
	p := &planned{a: a, done: make(chan struct{})}
	close(p.done)
	a.overlay = p
	return nil
}

// network is what the node's end of the overlay is to be.
type network struct {
	peers  []api.Peer  // other nodes, the manager among them
	relays []api.Relay // in order of preference
	expose []uint16
}

// network puts the manager that the director has named together with what the spec says. Where both know a
// node, or claim the same address or key, the director's word counts: it is newer when a manager was replaced.
func (a *App) network() network {
	a.mu.Lock()
	defer a.mu.Unlock()
	var n network
	var listed []api.Peer
	if a.desired != nil {
		o := a.desired.Spec.Overlay
		listed, n.relays, n.expose = o.Peers, slices.Clone(o.Relays), a.desired.Spec.Expose
	}
	n.peers = withParent(listed, a.parent.Peer)
	for _, r := range a.parent.Relays {
		if !slices.ContainsFunc(n.relays, func(o api.Relay) bool { return o.Key == r.Key || o.Name == r.Name }) {
			n.relays = append(n.relays, r)
		}
	}
	return n
}

// withParent gives the peers with the parent in place of whoever claims its node id, address or key.
func withParent(peers []api.Peer, parent *api.Peer) []api.Peer {
	if parent == nil {
		return peers
	}
	out := make([]api.Peer, 0, len(peers)+1)
	for _, p := range peers {
		if p == *parent || p.Node != parent.Node && p.Address != parent.Address && p.Key != parent.Key {
			out = append(out, p)
		}
	}
	if !slices.Contains(out, *parent) {
		out = append(out, *parent)
	}
	return out
}

// planned is the overlay of runtime "process": addresses are dealt out and nothing is brought up.
type planned struct {
	a    *App
	done chan struct{} // closed: there is nothing to wait for
}

func (*planned) dataPlane() string { return dataPlaneNone }

// sync only reports the peers, as planned.
func (p *planned) sync(context.Context) error {
	n := p.a.network()
	peers := make([]api.PeerStatus, len(n.peers))
	for i, peer := range n.peers {
		peers[i] = api.PeerStatus{Peer: peer.Node, Path: api.PathPlanned, Endpoint: peer.Endpoint}
	}
	sortPeers(peers)
	p.a.board.change(func(s *api.NodeStatus) { s.Overlay = peers })
	return nil
}

func (p *planned) ready() <-chan struct{} { return p.done }

func (p *planned) run(ctx context.Context) { <-ctx.Done() }

func sortPeers(peers []api.PeerStatus) {
	slices.SortFunc(peers, func(a, b api.PeerStatus) int { return cmp.Compare(a.Peer, b.Peer) })
}
