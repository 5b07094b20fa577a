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
	known    func(api.NodeID) bool // nil: all are
}

// merge makes every Status in a line of the stream whole.
func (m *merger) merge(r *api.ManagerReport) {
	if r.Snapshot || m.overlays == nil {
		m.overlays = make(map[api.NodeID][]api.PeerStatus)
	}
	if m.known != nil {
		r.Nodes = slices.DeleteFunc(r.Nodes, func(h api.NodeHealth) bool { return !m.known(h.Node) })
	}
	for i, h := range r.Nodes {
		if h.Status == nil {
			delete(m.overlays, h.Node)
			continue
		}
		whole := *h.Status
		whole.Overlay = apply(m.overlays[h.Node], m.trusted(h.Status.Overlay))
		m.overlays[h.Node] = whole.Overlay
		r.Nodes[i].Status = &whole
	}
}

// trusted leaves the peers out that are not known, and cuts what is no name; a removal is always let through.
func (m *merger) trusted(peers []api.PeerStatus) []api.PeerStatus {
	if m.known == nil {
		return peers
	}
	return slices.DeleteFunc(peers, func(p api.PeerStatus) bool {
		return p.Path != "" && !m.known(p.Peer) || len(p.Peer)+len(p.Path)+len(p.Relay)+len(p.Endpoint.Addr().Zone()) > peerMax
	})
}

// peerMax is how many bytes the names in a peer's status may have.
const peerMax = 512

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
