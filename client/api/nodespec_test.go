package api

import (
	"net/netip"
	"testing"
)

func TestFingerprint(t *testing.T) {
	base := func() NodeSpec {
		return NodeSpec{
			Node: "n2", Revision: 1, Type: "helloworld",
			Overlay: OverlaySpec{Version: 1, Full: true, Address: netip.MustParseAddr("172.16.0.1"), Peers: []Peer{{Node: "n3"}, {Node: "n4"}}},
			Roles:   []RoleSpec{{Role: "node", Config: RawJSON(`{"a": 1}`)}},
		}
	}
	sum := func(change func(*NodeSpec)) string {
		t.Helper()
		s := base()
		change(&s)
		text, err := s.Fingerprint()
		if err != nil || len(text) != 64 {
			t.Fatalf("fingerprint %q, %v", text, err)
		}
		return text
	}
	first := sum(func(*NodeSpec) {})
	for name, change := range map[string]func(*NodeSpec){
		"revision":       func(s *NodeSpec) { s.Revision = 9 },
		"version":        func(s *NodeSpec) { s.Overlay.Version = 9 },
		"names":          func(s *NodeSpec) { s.Names = []HostName{{Name: "a.b.internal"}} },
		"startup":        func(s *NodeSpec) { s.Startup = &Startup{Script: "true"} },
		"full":           func(s *NodeSpec) { s.Overlay.Full = false },
		"order of peers": func(s *NodeSpec) { s.Overlay.Peers = []Peer{{Node: "n4"}, {Node: "n3"}} },
		"blanks in JSON": func(s *NodeSpec) { s.Roles[0].Config = RawJSON(`{"a":1}`) },
	} {
		if sum(change) != first {
			t.Errorf("%s changes the fingerprint", name)
		}
	}
	for name, change := range map[string]func(*NodeSpec){
		"config":  func(s *NodeSpec) { s.Roles[0].Config = RawJSON(`{"a":2}`) },
		"roles":   func(s *NodeSpec) { s.Roles = nil },
		"peers":   func(s *NodeSpec) { s.Overlay.Peers = s.Overlay.Peers[:1] },
		"expose":  func(s *NodeSpec) { s.Expose = []uint16{80} },
		"blobs":   func(s *NodeSpec) { s.Blobs = []string{"x"} },
		"a peer":  func(s *NodeSpec) { s.Overlay.Peers[0].Key = "x" },
		"service": func(s *NodeSpec) { s.Service = 2 },
	} {
		if sum(change) == first {
			t.Errorf("%s does not change the fingerprint", name)
		}
	}
	s := base()
	before := s.Overlay.Peers[0]
	s.Overlay.Peers = []Peer{{Node: "n9"}, before}
	if _, err := s.Fingerprint(); err != nil || s.Overlay.Peers[0].Node != "n9" || s.Revision != 1 {
		t.Errorf("Fingerprint has changed the spec: %+v, %v", s, err)
	}
	bad := base()
	bad.Roles[0].Config = RawJSON(`{`)
	if text, err := bad.Fingerprint(); err == nil {
		t.Errorf("a configuration that is no JSON has the fingerprint %s", text)
	}
}

func TestMerge(t *testing.T) {
	known := NodeStatus{Applied: 1, Error: "x", Overlay: []PeerStatus{{Peer: "n3", Path: PathDirect}, {Peer: "n4", Path: PathNone}}}
	got := known.Merge(NodeStatus{Applied: 2, Overlay: []PeerStatus{{Peer: "n5", Path: PathNone}, {Peer: "n4", Path: PathRelayed}, {Peer: "n3"}}})
	if got.Applied != 2 || got.Error != "" || len(got.Overlay) != 2 || got.Overlay[0].Path != PathRelayed || got.Overlay[1].Peer != "n5" {
		t.Errorf("Merge gives %+v", got)
	}
	if len(known.Overlay) != 2 || known.Overlay[1].Path != PathNone {
		t.Errorf("Merge has changed what was known: %+v", known)
	}
}
