package api

import (
	"cmp"
	"maps"
	"slices"
)

// Merge gives the status that a later line of an agent's stream makes of this one: everything is the later one's but
// Overlay, of which the later one carries only the peers that have changed. A peer with an empty Path is gone.
func (s NodeStatus) Merge(later NodeStatus) NodeStatus {
	peers := make(map[NodeID]PeerStatus, len(s.Overlay))
	for _, p := range s.Overlay {
		peers[p.Peer] = p
	}
	for _, p := range later.Overlay {
		if p.Path == "" {
			delete(peers, p.Peer)
			continue
		}
		peers[p.Peer] = p
	}
	later.Overlay = slices.SortedFunc(maps.Values(peers), func(a, b PeerStatus) int { return cmp.Compare(a.Peer, b.Peer) })
	return later
}
