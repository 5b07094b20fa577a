package service

import (
	"slices"

	"conpaas/client/api"
)

// NodeSpec gives the spec of a node that is to be c, without revision and peers.
func (in Input) NodeSpec(n Node, c Config) api.NodeSpec {
	spec := api.NodeSpec{
		Node: n.ID, Service: in.Spec.ID, Type: in.Spec.Type, Name: in.Spec.Name,
		Overlay: api.OverlaySpec{Network: in.Network, Address: n.Overlay, Relays: api.RelaysFor(n.Cloud, in.Relays)},
		Roles:   c.Roles, Expose: c.Expose, Blobs: c.Blobs, Volumes: n.Volumes,
	}
	if !n.Draining() { // a machine that goes need not begin
		spec.Startup = in.Spec.Startup
	}
	return spec
}

// Digest tells specs apart by what a node does with them, its peers and names left out, which travel by themselves, and its
// start-up script, which changes nothing of a node that works. A spec whose Config is no JSON gives "", which no node has
// ever applied.
func Digest(s api.NodeSpec) string {
	s.Overlay.Peers, s.Names, s.Startup = nil, nil, nil
	sum, err := s.Fingerprint()
	if err != nil {
		return ""
	}
	return sum
}

// Applied tells whether the node is known to have applied c.
func (in Input) Applied(n Node, c Config) bool {
	return n.Applied != "" && n.Applied == Digest(in.NodeSpec(n, c))
}

// Ready tells whether the node is connected, has applied c and every role of c is in state ready.
func (in Input) Ready(n Node, c Config) bool {
	if !n.Connected || n.Status == nil || n.Status.Error != "" || !in.Applied(n, c) {
		return false
	}
	return !slices.ContainsFunc(c.Roles, func(r api.RoleSpec) bool {
		s, ok := n.RoleStatus(r.Role)
		return !ok || s.State != api.RoleReady
	})
}

// Gone tells whether the node's machine may be deleted, c being its drained configuration: it never joined, so
// that it never had work, or it says itself that it has applied c and no role does anything any more.
func (in Input) Gone(n Node, c Config) bool {
	if !n.Joined() {
		return true
	}
	if !n.Connected || n.Status == nil || n.Status.Error != "" || !in.Applied(n, c) {
		return false
	}
	return !slices.ContainsFunc(n.Status.Roles, func(r api.RoleStatus) bool { return r.State != api.RoleDrained })
}
