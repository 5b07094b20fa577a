package app

import (
	"context"
	"errors"

	"conpaas/client/api"
	"conpaas/director/store"
)

// addresses releases the overlay addresses of nodes that are gone once no other node names them as peer any more:
// only then may another node get such an address.
func (w *worker) addresses(ctx context.Context, s *snapshot, seen observed, _ *deadline) error {
	for _, gone := range s.unreleased {
		if gone.State != api.NodeGone || !w.link.forgotten(gone.ID) || seen.named(gone.ID, s.nodes) {
			continue
		}
		err := w.d.store.Update(ctx, "node.released", func(tx *store.Tx) error { return tx.ReleaseNode(gone.ID) })
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// forgotten tells whether the connected manager has taken a spec without the node.
func (l *link) forgotten(id api.NodeID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked == nil {
		return false
	}
	for _, n := range l.acked.spec.Nodes {
		if n.ID == id {
			return false
		}
	}
	return true
}

// named tells whether any node may still have the node among its peers: it says so, or it has joined and the connected
// manager has not heard it yet.
func (o observed) named(id api.NodeID, nodes []store.Node) bool {
	if o.health == nil {
		return true // nobody has said anything yet
	}
	for _, n := range nodes {
		if n.ID != id && n.OverlayKey != "" && acts(n) && o.status(n.ID) == nil {
			return true
		}
	}
	names := func(s *api.NodeStatus) bool {
		if s == nil {
			return false
		}
		for _, p := range s.Overlay {
			if p.Peer == id {
				return true
			}
		}
		return false
	}
	if names(o.self) {
		return true
	}
	for _, h := range o.health {
		if names(h.Status) {
			return true
		}
	}
	return false
}
