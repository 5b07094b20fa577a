//go:build linux

package wg

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"conpaas/vpn"
)

// keepalive is how often a peer that wants it is sent a datagram. Usual NATs forget a flow after 30 s.
const keepalive = 25 * time.Second

// sessionLife is how long a WireGuard session can be used; a peer whose handshake is older has none.
const sessionLife = 180 * time.Second

// mode says what happens to peers and endpoints that a list of peers does not name or names otherwise.
type mode int

const (
	applyDelta  mode = iota // other peers stay; a given endpoint is set
	replaceList             // other peers go; the endpoint of a live session is left to whoever chose it
)

// changes computes the smallest configuration that brings the peers of a device to the list set, without
// those in remove. A peer that is as wanted is not in it, so its session goes on undisturbed. A peer that
// holds the address of another one in the list (a node with a new key) is removed.
func changes(current []wgtypes.Peer, set []vpn.Peer, remove []string, how mode, now time.Time) ([]wgtypes.PeerConfig, error) {
	have := make(map[wgtypes.Key]wgtypes.Peer, len(current))
	holder := make(map[netip.Addr]wgtypes.Key, len(current))
	for _, p := range current {
		have[p.PublicKey] = p
		if a := addressOf(p); a.IsValid() {
			holder[a] = p.PublicKey
		}
	}
	wanted := make(map[wgtypes.Key]bool, len(set))
	keys := make([]wgtypes.Key, len(set))
	for i, p := range set {
		key, err := wgtypes.ParseKey(p.Key)
		if err != nil {
			return nil, fmt.Errorf("overlay peer %s: its key is not 32 bytes in base64", p.Name)
		}
		keys[i], wanted[key] = key, true
	}

	gone := make(map[wgtypes.Key]bool)
	for _, text := range remove {
		key, err := wgtypes.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("overlay peer to remove: its key is not 32 bytes in base64")
		}
		gone[key] = !wanted[key]
	}
	for i, p := range set {
		if old, ok := holder[p.Address]; ok && old != keys[i] && !wanted[old] {
			gone[old] = true
		}
	}
	var out []wgtypes.PeerConfig
	for _, p := range current {
		if gone[p.PublicKey] || (how == replaceList && !wanted[p.PublicKey]) {
			out = append(out, wgtypes.PeerConfig{PublicKey: p.PublicKey, Remove: true, UpdateOnly: true})
		}
	}
	for i, p := range set {
		old, exists := have[keys[i]]
		c, change := peerChange(old, exists, p, how, now)
		if change {
			c.PublicKey = keys[i]
			out = append(out, c)
		}
	}
	return out, nil
}

// peerChange is the part of changes for one peer; change is false where the peer is as wanted.
func peerChange(old wgtypes.Peer, exists bool, p vpn.Peer, how mode, now time.Time) (c wgtypes.PeerConfig, change bool) {
	interval := time.Duration(0)
	if p.Keepalive {
		interval = keepalive
	}
	if !exists {
		c = wgtypes.PeerConfig{ReplaceAllowedIPs: true, PersistentKeepaliveInterval: &interval, Endpoint: endpoint(p.Endpoint)}
		c.AllowedIPs = allowed(p.Address)
		return c, true
	}
	c.UpdateOnly = true
	if len(old.AllowedIPs) > 1 || addressOf(old) != p.Address {
		c.ReplaceAllowedIPs, c.AllowedIPs, change = true, allowed(p.Address), true
	}
	if old.PersistentKeepaliveInterval != interval {
		c.PersistentKeepaliveInterval, change = &interval, true
	}
	live := old.Endpoint != nil && now.Sub(old.LastHandshakeTime) < sessionLife
	if p.Endpoint.IsValid() && endpointOf(old) != p.Endpoint && !(how == replaceList && live) {
		c.Endpoint, change = endpoint(p.Endpoint), true
	}
	return c, change
}

// allowed is the AllowedIPs of a peer: its /32, or nothing for a relay.
func allowed(a netip.Addr) []net.IPNet {
	if !a.IsValid() {
		return nil
	}
	return []net.IPNet{{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}}
}

// addressOf gives the address of a peer that has exactly one /32, else the invalid one.
func addressOf(p wgtypes.Peer) netip.Addr {
	if len(p.AllowedIPs) != 1 {
		return netip.Addr{}
	}
	ones, bits := p.AllowedIPs[0].Mask.Size()
	a, _ := netip.AddrFromSlice(p.AllowedIPs[0].IP)
	if ones != bits || ones == 0 {
		return netip.Addr{}
	}
	return a.Unmap()
}

func endpoint(e netip.AddrPort) *net.UDPAddr {
	if !e.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(e)
}

func endpointOf(p wgtypes.Peer) netip.AddrPort {
	if p.Endpoint == nil {
		return netip.AddrPort{}
	}
	e := p.Endpoint.AddrPort()
	return netip.AddrPortFrom(e.Addr().Unmap(), e.Port())
}
