package app

import (
	"net/netip"
	"strings"

	"conpaas/client/api"
)

// How much of what an agent says of itself is taken.
const (
	textMax  = 4 << 10  // bytes of a text
	nameMax  = 128      // bytes of a name
	factsMax = 64 << 10 // bytes of a role's facts
	listMax  = 256      // entries of a list of pids or digests
	rolesMax = 16
	peersMax = 65536
)

// bound makes a status one that can be passed on: of its own node, and of bounded size, so that one agent in wrong hands cannot
// break the stream to the director.
func bound(id api.NodeID, s *api.NodeStatus) {
	s.Node = id
	s.Error = cut(s.Error, textMax)
	for _, name := range []*string{&s.BootID, &s.Version, &s.DataPlane, &s.Fingerprint, &s.Trust} {
		*name = cut(*name, nameMax)
	}
	s.Roles = s.Roles[:min(len(s.Roles), rolesMax)]
	for i := range s.Roles {
		r := &s.Roles[i]
		r.Role, r.State, r.Reason = cut(r.Role, nameMax), cut(r.State, nameMax), cut(r.Reason, textMax)
		r.PIDs = r.PIDs[:min(len(r.PIDs), listMax)]
		if len(r.Facts) > factsMax {
			r.Facts = nil
		}
	}
	s.Lacks = s.Lacks[:min(len(s.Lacks), listMax)]
	for i := range s.Lacks {
		s.Lacks[i] = cut(s.Lacks[i], nameMax)
	}
	s.Overlay = s.Overlay[:min(len(s.Overlay), peersMax)]
	for i := range s.Overlay {
		p := &s.Overlay[i]
		p.Peer, p.Relay, p.Path = cut(p.Peer, nameMax), cut(p.Relay, nameMax), cut(p.Path, nameMax)
		if p.Endpoint.Addr().Zone() != "" { // of any length, and of no meaning elsewhere
			p.Endpoint = netip.AddrPort{}
		}
	}
}

// cut gives the text, shortened to about so many bytes.
func cut[T ~string](text T, most int) T {
	if len(text) <= most {
		return text
	}
	return T(strings.ToValidUTF8(string(text[:most]), "") + "…")
}
