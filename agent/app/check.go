package app

import (
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"

	"conpaas/client/api"
	"conpaas/client/daemon/blobs"
)

// Bounds of a spec: a manager is trusted with its own application's machines, and still cannot fill them up.
const (
	maxPeers  = 65536
	maxRelays = 64
	maxRoles  = 16
	maxConfig = 512 << 10
	maxExpose = 64
	maxBlobs  = 256
)

var (
	nodeName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	envName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)
	roleName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
)

// check tells what of a spec is not for this node or cannot be right.
func (a *App) check(s api.NodeSpec) error {
	switch {
	case s.Node != a.boot.Node:
		return api.InField("node", "the spec is for node %q, and this is %q", s.Node, a.boot.Node)
	case s.Service != a.answer.Service:
		return api.InField("service", "this node belongs to service %s, not to %s", a.answer.Service, s.Service)
	case a.halves[s.Type] == nil:
		return api.Errorf(api.CodeUnsupported, "this version of the agent has no service type %q", s.Type)
	case s.Overlay.Network != a.answer.Network:
		return api.InField("overlay.network", "this node was given another network (%s) when it joined", a.answer.Network.Prefix)
	case s.Overlay.Address != a.answer.Overlay:
		return api.InField("overlay.address", "this node was given the address %s when it joined", a.answer.Overlay)
	case len(s.Name) > api.NameMax:
		return api.InField("name", "the service's name has %d bytes; at most %d are allowed", len(s.Name), api.NameMax)
	case !s.Overlay.Full && len(s.Overlay.Peers) > 0:
		return api.InField("overlay.peers", "peers are sent either all, with full, or by a change")
	case len(s.Expose) > maxExpose:
		return api.InField("expose", "%d ports; at most %d are allowed", len(s.Expose), maxExpose)
	case slices.Contains(s.Expose, 0):
		return api.InField("expose", "port 0 cannot be exposed")
	}
	if err := checkRoles(s.Roles); err != nil {
		return err
	}
	if err := checkBlobs(s.Blobs); err != nil {
		return err
	}
	if err := checkRelays(s.Overlay.Relays); err != nil {
		return err
	}
	if err := a.checkNames(s.Names); err != nil {
		return err
	}
	if err := checkVolumes(s.Volumes); err != nil {
		return err
	}
	if err := checkStartup(s.Startup); err != nil {
		return err
	}
	return a.checkPeers(s.Overlay.Peers)
}

func checkRoles(roles []api.RoleSpec) error {
	if len(roles) > maxRoles {
		return api.InField("roles", "%d roles; at most %d are allowed", len(roles), maxRoles)
	}
	seen := map[api.Role]bool{}
	for _, r := range roles {
		switch {
		case !roleName.MatchString(string(r.Role)):
			return api.InField("roles", "%q is no name of a role", r.Role)
		case seen[r.Role]:
			return api.InField("roles", "role %q is listed twice", r.Role)
		case len(r.Config) > maxConfig:
			return api.InField("roles", "the configuration of role %q has %d bytes; at most %d are allowed", r.Role, len(r.Config), maxConfig)
		case len(r.Config) > 0 && !json.Valid(r.Config):
			return api.InField("roles", "the configuration of role %q is not JSON", r.Role)
		}
		seen[r.Role] = true
	}
	return nil
}

func checkBlobs(named []string) error {
	if len(named) > maxBlobs {
		return api.InField("blobs", "%d blobs; at most %d are allowed", len(named), maxBlobs)
	}
	for _, b := range named {
		if !blobs.Valid(b) {
			return api.InField("blobs", "%q is no SHA-256 in lower-case hex", b)
		}
	}
	return nil
}

func checkRelays(relays []api.Relay) error {
	if len(relays) > maxRelays {
		return api.InField("overlay.relays", "%d relays; at most %d are allowed", len(relays), maxRelays)
	}
	names, keys := map[string]bool{}, map[api.OverlayKey]bool{}
	for _, r := range relays {
		switch {
		case r.Name == "" || len(r.Name) > 128 || names[r.Name]:
			return api.InField("overlay.relays", "a relay's name is empty, too long or there twice: %.128q", r.Name)
		case !validKey(r.Key) || keys[r.Key]:
			return api.InField("overlay.relays", "the key of relay %s is no WireGuard key or there twice", r.Name)
		case !r.Endpoint.IsValid() || r.Endpoint.Port() == 0:
			return api.InField("overlay.relays", "relay %s has no endpoint", r.Name)
		}
		names[r.Name], keys[r.Key] = true, true
	}
	return nil
}

func (a *App) checkDelta(d api.PeerDelta) error {
	if len(d.Set) > maxPeers || len(d.Remove) > maxPeers {
		return api.InField("set", "at most %d peers are allowed", maxPeers)
	}
	return a.checkPeers(d.Set)
}

// checkPeers sees to it that every peer is another node with a key and an address of its own.
func (a *App) checkPeers(peers []api.Peer) error {
	if len(peers) > maxPeers {
		return api.InField("overlay.peers", "%d peers; at most %d are allowed", len(peers), maxPeers)
	}
	nodes := make(map[api.NodeID]bool, len(peers))
	keys := make(map[api.OverlayKey]bool, len(peers))
	addresses := make(map[netip.Addr]bool, len(peers))
	for _, p := range peers {
		switch {
		case !nodeName.MatchString(string(p.Node)):
			return api.InField("overlay.peers", "%.64q is no id of a node", p.Node)
		case p.Node == a.boot.Node:
			return api.InField("overlay.peers", "node %s is this one", p.Node)
		case !validKey(p.Key):
			return api.InField("overlay.peers", "the key of peer %s is no WireGuard key", p.Node)
		case !a.answer.Network.Prefix.Contains(p.Address) || p.Address == a.answer.Overlay:
			return api.InField("overlay.peers", "peer %s has the address %s, which is not another node's in %s", p.Node, p.Address, a.answer.Network.Prefix)
		case p.Endpoint != netip.AddrPort{} && (!p.Endpoint.IsValid() || p.Endpoint.Port() == 0):
			return api.InField("overlay.peers", "the endpoint of peer %s is %s", p.Node, p.Endpoint)
		case nodes[p.Node] || keys[p.Key] || addresses[p.Address]:
			return api.InField("overlay.peers", "peer %s shares its id, key or address with another", p.Node)
		}
		nodes[p.Node], keys[p.Key], addresses[p.Address] = true, true, true
	}
	return nil
}

// validKey tells whether a key is 32 bytes in base64.
func validKey(k api.OverlayKey) bool {
	if len(k) != base64.StdEncoding.EncodedLen(32) {
		return false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(string(k))
	return err == nil && len(raw) == 32
}
