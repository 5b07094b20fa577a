package vpn

import "net/netip"

// Peer is one other end of a node's overlay device.
type Peer struct {
	Name      string         // of the node or relay, unique in a list
	Key       string         // WireGuard public key, base64
	Address   netip.Addr     // overlay address; its AllowedIPs are exactly this /32. Invalid for a relay, which has none
	Endpoint  netip.AddrPort // where its sealed datagrams go directly; invalid where only a relay reaches it
	Keepalive bool           // send a datagram every 25 s, to hold a NAT open
}

// Diff tells what turns the list old into the list new: the peers of new that old lacks or has otherwise, in
// the order of new, and the names of those that are only in old, in the order of old. Where a name is listed
// twice the last one counts.
func Diff(old, new []Peer) (set []Peer, remove []string) {
	before, after := byName(old), byName(new)
	for i, p := range new {
		if after[p.Name] != i {
			continue
		}
		if j, ok := before[p.Name]; !ok || old[j] != p {
			set = append(set, p)
		}
	}
	for i, p := range old {
		if _, kept := after[p.Name]; !kept && before[p.Name] == i {
			remove = append(remove, p.Name)
		}
	}
	return set, remove
}

// byName gives the index of the last peer of each name.
func byName(peers []Peer) map[string]int {
	index := make(map[string]int, len(peers))
	for i, p := range peers {
		index[p.Name] = i
	}
	return index
}
