package app

import (
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"conpaas/agent/service"
	"conpaas/agent/services/helloworld"
	"conpaas/client/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func keyOf(n int) api.OverlayKey {
	raw := make([]byte, 32)
	raw[0], raw[1] = byte(n), byte(n>>8)
	return api.OverlayKey(base64.StdEncoding.EncodeToString(raw))
}

func peer(n int) api.Peer {
	return api.Peer{
		Node: api.NodeID("n" + string(rune('a'+n%26)) + strings.Repeat("x", n/26)), Key: keyOf(n),
		Address: netip.AddrFrom4([4]byte{172, 16, 1, byte(n)}), Endpoint: netip.MustParseAddrPort("10.0.0.1:51820"),
	}
}

// checker is an agent that can only check.
func checker() *App {
	network := api.Network{Prefix: netip.MustParsePrefix("172.16.0.0/12"), ServiceBits: 5, Port: 51820}
	return &App{
		boot: api.Bootstrap{Node: "n2"}, answer: api.JoinAnswer{Service: 1, Network: network, Overlay: netip.MustParseAddr("172.16.0.1")},
		halves: map[api.ServiceType]func() service.Half{api.Helloworld: func() service.Half { return helloworld.New() }},
	}
}

func goodSpec() api.NodeSpec {
	a := checker()
	return api.NodeSpec{
		Node: "n2", Revision: 1, Service: 1, Type: api.Helloworld, Name: "hello",
		Overlay: api.OverlaySpec{Network: a.answer.Network, Address: a.answer.Overlay, Version: 1, Full: true, Peers: []api.Peer{peer(1), peer(2)}},
		Roles:   []api.RoleSpec{{Role: "node", Config: api.RawJSON(`{}`)}}, Expose: []uint16{80},
	}
}

func TestCheckRefusesHostileSpecs(t *testing.T) {
	a := checker()
	if err := a.check(goodSpec()); err != nil {
		t.Fatal(err)
	}
	relay := api.Relay{Name: "manager", Key: keyOf(9), Endpoint: netip.MustParseAddrPort("10.0.0.9:4000")}
	for name, change := range map[string]func(*api.NodeSpec){
		"another node":       func(s *api.NodeSpec) { s.Node = "n3" },
		"another service":    func(s *api.NodeSpec) { s.Service = 2 },
		"unknown type":       func(s *api.NodeSpec) { s.Type = "../../bin/sh" },
		"another network":    func(s *api.NodeSpec) { s.Overlay.Network.Prefix = netip.MustParsePrefix("0.0.0.0/0") },
		"another address":    func(s *api.NodeSpec) { s.Overlay.Address = netip.MustParseAddr("172.16.0.2") },
		"peers without full": func(s *api.NodeSpec) { s.Overlay.Full = false },
		"port 0":             func(s *api.NodeSpec) { s.Expose = []uint16{0} },
		"many ports":         func(s *api.NodeSpec) { s.Expose = make([]uint16, maxExpose+1) },
		"another's name":     func(s *api.NodeSpec) { s.Names = []api.HostName{{Name: "deb.debian.org"}} },
		"name with a line":   func(s *api.NodeSpec) { s.Names = []api.HostName{{Name: "a\n1.2.3.4 b.c.internal"}} },
		"many names":         func(s *api.NodeSpec) { s.Names = make([]api.HostName, maxNames+1) },
		"name outside": func(s *api.NodeSpec) {
			s.Names = []api.HostName{{Name: "a.b.internal", Addresses: []netip.Addr{netip.MustParseAddr("8.8.8.8")}}}
		},
		"large script": func(s *api.NodeSpec) {
			s.Startup = &api.Startup{Script: api.Secret(strings.Repeat("x", api.ScriptMax+1)), Seconds: 1}
		},
		"script without time": func(s *api.NodeSpec) { s.Startup = &api.Startup{Script: "true"} },
		"script's variable":   func(s *api.NodeSpec) { s.Startup = &api.Startup{Seconds: 1, Env: map[string]api.Secret{"A=B": "x"}} },
		"script's value":      func(s *api.NodeSpec) { s.Startup = &api.Startup{Seconds: 1, Env: map[string]api.Secret{"A": "x\x00"}} },
		"role path":           func(s *api.NodeSpec) { s.Roles[0].Role = "../node" },
		"role twice":          func(s *api.NodeSpec) { s.Roles = append(s.Roles, s.Roles[0]) },
		"many roles":          func(s *api.NodeSpec) { s.Roles = make([]api.RoleSpec, maxRoles+1) },
		"large config":        func(s *api.NodeSpec) { s.Roles[0].Config = api.RawJSON(`"` + strings.Repeat("x", maxConfig) + `"`) },
		"config no JSON":      func(s *api.NodeSpec) { s.Roles[0].Config = api.RawJSON(`{`) },
		"blob path":           func(s *api.NodeSpec) { s.Blobs = []string{"../../etc/passwd"} },
		"blob upper case":     func(s *api.NodeSpec) { s.Blobs = []string{strings.Repeat("A", 64)} },
		"many blobs":          func(s *api.NodeSpec) { s.Blobs = make([]string, maxBlobs+1) },
		"peer path":           func(s *api.NodeSpec) { s.Overlay.Peers[0].Node = "../x" },
		"peer is this node":   func(s *api.NodeSpec) { s.Overlay.Peers[0].Node = "n2" },
		"peer key":            func(s *api.NodeSpec) { s.Overlay.Peers[0].Key = "x" },
		"peer outside":        func(s *api.NodeSpec) { s.Overlay.Peers[0].Address = netip.MustParseAddr("10.0.0.1") },
		"peer takes address":  func(s *api.NodeSpec) { s.Overlay.Peers[0].Address = a.answer.Overlay },
		"peer endpoint":       func(s *api.NodeSpec) { s.Overlay.Peers[0].Endpoint = netip.AddrPortFrom(netip.Addr{}, 1) },
		"peers share id":      func(s *api.NodeSpec) { s.Overlay.Peers[1].Node = s.Overlay.Peers[0].Node },
		"peers share key":     func(s *api.NodeSpec) { s.Overlay.Peers[1].Key = s.Overlay.Peers[0].Key },
		"peers share address": func(s *api.NodeSpec) { s.Overlay.Peers[1].Address = s.Overlay.Peers[0].Address },
		"relay twice":         func(s *api.NodeSpec) { s.Overlay.Relays = []api.Relay{relay, relay} },
		"relay no endpoint":   func(s *api.NodeSpec) { s.Overlay.Relays = []api.Relay{{Name: "r", Key: keyOf(9)}} },
		"relay key":           func(s *api.NodeSpec) { r := relay; r.Key = ""; s.Overlay.Relays = []api.Relay{r} },
		"relay name":          func(s *api.NodeSpec) { r := relay; r.Name = ""; s.Overlay.Relays = []api.Relay{r} },
		"many relays":         func(s *api.NodeSpec) { s.Overlay.Relays = make([]api.Relay, maxRelays+1) },
	} {
		s := goodSpec()
		change(&s)
		err := a.check(s)
		if code := api.CodeFrom(err); code != api.CodeInvalid && code != api.CodeUnsupported {
			t.Errorf("%s: %v; want a refusal", name, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	data, err := json.Marshal(goodSpec())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var s api.NodeSpec
		if json.Unmarshal(data, &s) != nil || checker().check(s) != nil {
			return
		}
		if _, err := s.Fingerprint(); err != nil {
			t.Errorf("a spec that was let through has no fingerprint: %v", err)
		}
		devicePeers(network{peers: s.Overlay.Peers, relays: s.Overlay.Relays})
	})
}

// A patch does to the list what it says, and never gives a list with a node twice.
func TestPatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) []int {
			return rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 8, rapid.ID[int]).Draw(t, name)
		}
		var old []api.Peer
		want := map[api.NodeID]api.Peer{}
		for _, n := range draw("old") {
			old = append(old, peer(n))
			want[peer(n).Node] = peer(n)
		}
		var d api.PeerDelta
		for _, n := range draw("set") {
			p := peer(n)
			p.Keepalive = true
			d.Set = append(d.Set, p)
			want[p.Node] = p
		}
		for _, n := range draw("remove") {
			d.Remove = append(d.Remove, peer(n).Node)
			delete(want, peer(n).Node)
		}
		before := append([]api.Peer(nil), old...)
		got := patch(old, d)
		if len(got) != len(want) {
			t.Fatalf("patch gives %d peers; want %d", len(got), len(want))
		}
		for _, p := range got {
			if want[p.Node] != p {
				t.Fatalf("patch gives %+v; want %+v", p, want[p.Node])
			}
		}
		for i := range before {
			if old[i] != before[i] {
				t.Fatal("patch has changed the list it was given")
			}
		}
	})
}

func TestWithParent(t *testing.T) {
	parent := peer(7)
	for name, peers := range map[string][]api.Peer{
		"unknown":      {peer(1), peer(2)},
		"known":        {peer(1), parent, peer(2)},
		"old key":      {peer(1), {Node: parent.Node, Key: keyOf(70), Address: parent.Address}, peer(2)},
		"old manager":  {peer(1), {Node: "old", Key: keyOf(71), Address: parent.Address}, peer(2)},
		"same key":     {peer(1), {Node: "odd", Key: parent.Key, Address: peer(8).Address}, peer(2)},
		"several ways": {peer(1), {Node: parent.Node, Key: keyOf(70), Address: peer(8).Address}, {Node: "old", Key: keyOf(71), Address: parent.Address}, peer(2)},
	} {
		got := withParent(peers, &parent)
		count := map[api.Peer]int{}
		for _, p := range got {
			count[p]++
		}
		if len(got) != 3 || count[parent] != 1 || count[peer(1)] != 1 || count[peer(2)] != 1 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := withParent([]api.Peer{peer(1)}, nil); len(got) != 1 {
		t.Errorf("without a parent: %+v", got)
	}
}
