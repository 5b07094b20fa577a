package api

import (
	"net/netip"
	"slices"
	"time"
)

// OverlayKey is a WireGuard public key in base64 (44 characters).
type OverlayKey string

// Network is the plan of an application's overlay network.
type Network struct {
	Prefix      netip.Prefix `json:"prefix" doc:"For example 172.16.0.0/12"`
	ServiceBits int          `json:"service_bits" doc:"2^s partitions, one per service; the last slot-0 address is the manager's"`
	Port        uint16       `json:"port" doc:"UDP port of WireGuard on every machine"`
	Active      bool         `json:"active" doc:"False where the runtime has no network of its own (process): addresses are planned, not brought up"`
}

// Peer is one other node of the overlay, as a node needs to know it. Its AllowedIPs are exactly Address/32.
type Peer struct {
	Node      NodeID         `json:"node"`
	Key       OverlayKey     `json:"key"`
	Address   netip.Addr     `json:"address" doc:"Overlay address"`
	Endpoint  netip.AddrPort `json:"endpoint" doc:"Where its sealed datagrams go; invalid where only a relay reaches it"`
	Keepalive bool           `json:"keepalive,omitempty" doc:"Send a datagram every 25 s, to hold a NAT open"`
}

// Relay forwards sealed datagrams between nodes that do not reach each other. It holds no key of theirs.
type Relay struct {
	Name     string         `json:"name" doc:"For example manager, director, or the bootstrap node's address"`
	Key      OverlayKey     `json:"key" doc:"Public key by which nodes register their address with it"`
	Endpoint netip.AddrPort `json:"endpoint"`
	Cloud    string         `json:"cloud,omitempty" doc:"The cloud whose machines reach it there; empty: all, but for those that another entry of the name is for"`
}

// RelaysFor gives the relays as the machines of a cloud reach them: of those with the same name the first that is for the
// cloud or for all.
func RelaysFor(cloud string, relays []Relay) []Relay {
	var out []Relay
	for _, r := range relays {
		if r.Cloud != "" && r.Cloud != cloud || slices.ContainsFunc(out, func(o Relay) bool { return o.Name == r.Name }) {
			continue
		}
		r.Cloud = ""
		out = append(out, r)
	}
	return out
}

// PathKind says how the datagrams of a pair travel.
type PathKind string

// The kinds of paths.
const (
	PathNone    PathKind = "none"    // no handshake yet
	PathDirect  PathKind = "direct"  // from machine to machine
	PathRelayed PathKind = "relayed" // through a relay
	PathSpliced PathKind = "spliced" // none; only the agent's connection to its manager is carried, by the director
	PathPlanned PathKind = "planned" // the runtime has no overlay
)

// PeerStatus is how one node sees one peer.
type PeerStatus struct {
	Peer      NodeID         `json:"peer"`
	Path      PathKind       `json:"path"`
	Relay     string         `json:"relay,omitempty" doc:"Name of the relay in use"`
	Endpoint  netip.AddrPort `json:"endpoint"`
	Handshake *time.Time     `json:"handshake,omitempty" doc:"Last handshake"`
	LatencyMS float64        `json:"latency_ms,omitempty" doc:"Round trip; 0: not measured"`
	Received  int64          `json:"received" doc:"Bytes"`
	Sent      int64          `json:"sent" doc:"Bytes"`
}

// ApplicationNetwork is the overlay of an application with every pair that has been seen.
type ApplicationNetwork struct {
	Network Network       `json:"network"`
	Nodes   []NodeNetwork `json:"nodes"`
}

// NodeNetwork is one node's end of the overlay.
type NodeNetwork struct {
	Node      NodeID       `json:"node"`
	Address   netip.Addr   `json:"address"`
	DataPlane string       `json:"data_plane" doc:"userspace, kernel or none"`
	Peers     []PeerStatus `json:"peers"`
}
