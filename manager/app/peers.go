package app

import (
	"hash/fnv"
	"maps"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// peerLogMax is how many changes are remembered. An agent that is further behind gets the full list.
const peerLogMax = 8192

// peerTable is the list of overlay peers, with a log of what changed so that an agent which is a few changes
// behind is told only these.
//
// The version of a list is a hash of what is in it: the sum of its entries' hashes. So it costs the same for any
// number of peers, it tells two lists apart without comparing them, and another manager that knows the same
// peers counts the same versions.
type peerTable struct {
	current map[api.NodeID]api.Peer
	sum     uint64
	log     []api.NodeID // who changed, oldest first
	dropped uint64       // changes that are no longer in log
}

// seq numbers the state of the table: it grows by one with every change.
func (t *peerTable) seq() uint64 { return t.dropped + uint64(len(t.log)) }

// update makes the table hold exactly these peers.
func (t *peerTable) update(peers map[api.NodeID]api.Peer) {
	changed := make([]api.NodeID, 0, 4)
	for id, p := range t.current {
		if next, ok := peers[id]; !ok || next != p {
			t.sum -= hashPeer(p)
			changed = append(changed, id)
		}
	}
	for id, p := range peers {
		old, ok := t.current[id]
		if ok && old == p {
			continue
		}
		t.sum += hashPeer(p)
		if !ok {
			changed = append(changed, id)
		}
	}
	slices.SortFunc(changed, service.ByAge)
	t.current = peers
	t.log = append(t.log, changed...)
	if extra := len(t.log) - peerLogMax; extra > 0 {
		t.log = slices.Clone(t.log[extra:])
		t.dropped += uint64(extra)
	}
}

// version of the list that node self is to have: everyone but itself. It is never 0, which means none.
func (t *peerTable) version(self api.NodeID, keepalive bool) uint64 {
	v := t.sum
	if p, ok := t.current[self]; ok {
		v -= hashPeer(p)
	}
	if keepalive {
		v = ^v
	}
	return max(v, 1)
}

// full gives the list for node self, oldest node first.
func (t *peerTable) full(self api.NodeID, keepalive bool) []api.Peer {
	peers := make([]api.Peer, 0, len(t.current))
	for _, id := range slices.SortedFunc(maps.Keys(t.current), service.ByAge) {
		if id != self {
			p := t.current[id]
			p.Keepalive = keepalive
			peers = append(peers, p)
		}
	}
	return peers
}

// since gives what has changed for node self after the table was at seq; ok is false when that is not known any more.
func (t *peerTable) since(seq uint64, self api.NodeID, keepalive bool) (set []api.Peer, remove []api.NodeID, ok bool) {
	if seq < t.dropped || seq > t.seq() {
		return nil, nil, false
	}
	seen := map[api.NodeID]bool{self: true}
	for _, id := range t.log[seq-t.dropped:] {
		if seen[id] {
			continue
		}
		seen[id] = true
		if p, ok := t.current[id]; ok {
			p.Keepalive = keepalive
			set = append(set, p)
		} else {
			remove = append(remove, id)
		}
	}
	return set, remove, true
}

// hashPeer covers everything that a node is told of a peer. Hashes of single bytes would add up alike for
// different lists, so each entry is hashed as a whole.
func hashPeer(p api.Peer) uint64 {
	h := fnv.New64a()
	for _, part := range []string{string(p.Node), string(p.Key), p.Address.String(), p.Endpoint.String()} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return mix(h.Sum64())
}

// mix spreads a hash over all bits (the finalizer of MurmurHash3), so that sums of similar entries differ.
func mix(v uint64) uint64 {
	v ^= v >> 33
	v *= 0xff51afd7ed558ccd
	v ^= v >> 33
	v *= 0xc4ceb9fe1a85ec53
	return v ^ v>>33
}
