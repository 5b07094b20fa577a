package manager

import (
	"cmp"
	"maps"
	"slices"

	"conpaas/client/api"
)

// merger puts the statuses of nodes together again: on the wire a status is whole but for Overlay, which has only
// the peers that have changed since the last one.
type merger struct {
	overlays map[api.NodeID][]api.PeerStatus
}

// merge makes every Status in a line of the stream whole.
func (m *merger) merge(r *api.ManagerReport) {
	if r.Snapshot || m.overlays == nil {
		m.overlays = make(map[api.NodeID][]api.PeerStatus)
	}
	for i, h := range r.Nodes {
		if h.Status == nil {
			delete(m.overlays, h.Node)
			continue
		}
		whole := *h.Status
		whole.Overlay = apply(m.overlays[h.Node], h.Status.Overlay)
		m.overlays[h.Node] = whole.Overlay
		r.Nodes[i].Status = &whole
	}
}

// apply gives the peers in order of their ids with the changes made; a change without a path takes a peer away.
func apply(known, changes []api.PeerStatus) []api.PeerStatus {
	if len(changes) == 0 {
		return known
	}
	peers := make(map[api.NodeID]api.PeerStatus, len(known)+len(changes))
	for _, p := range known {
		peers[p.Peer] = p
	}
	for _, p := range changes {
		if p.Path == "" {
			delete(peers, p.Peer)
		} else {
			peers[p.Peer] = p
		}
	}
	return slices.SortedFunc(maps.Values(peers), func(a, b api.PeerStatus) int { return cmp.Compare(a.Peer, b.Peer) })
}
