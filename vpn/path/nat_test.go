package path_test

import (
	"net/netip"
	"testing"

	"conpaas/vpn"
	"conpaas/vpn/path"
	"conpaas/vpn/relay"
	"conpaas/vpn/wgtest"
)

// TestNodesBehindNATs has two nodes each behind a NAT of its own, and one outside. The one outside is reached
// directly from behind a NAT, and answers; the hidden two reach each other through the relay.
func TestNodesBehindNATs(t *testing.T) {
	t.Parallel()
	plan, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	outside := wgtest.NewBridge(t)
	nodes := make([]*wgtest.Node, 3)
	peers := make([]vpn.Peer, len(nodes))
	inside := netip.MustParsePrefix("192.168.0.2/24")
	for i := range nodes {
		overlay, err := plan.Address(0, i+1)
		if err != nil {
			t.Fatal(err)
		}
		public := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 24)
		name := string(rune('a' + i))
		if name == "c" {
			nodes[i] = wgtest.NewNode(t, outside, name, public, plan, overlay)
			peers[i] = nodes[i].Peer()
		} else {
			hidden := wgtest.NewBridge(t)
			router := netip.MustParsePrefix("192.168.0.1/24")
			wgtest.NAT(t, hidden, router, outside, public)
			nodes[i] = wgtest.NewNode(t, hidden, name, inside, plan, overlay)
			nodes[i].DefaultRoute(t, router.Addr())
			// Both have the same private address, which is what their cloud says of them.
			peers[i] = nodes[i].Peer()
		}
		nodes[i].Echo(t)
	}
	host := newRelayHost(t, outside, "1", netip.MustParsePrefix("10.0.0.101/24"))
	for _, n := range nodes {
		host.nodes = append(host.nodes, relay.Node{Key: n.Key, Group: "app"})
	}
	host.start(t)
	var agents []*agent
	for i, n := range nodes {
		var others []vpn.Peer
		for j, p := range peers {
			if i != j {
				others = append(others, p)
			}
		}
		agents = append(agents, start(t, n, true, others, host))
	}
	a, b, c := agents[0], agents[1], agents[2]
	a.Ping(t, c.Node)
	b.Ping(t, c.Node)
	c.Ping(t, a.Node)
	a.Ping(t, b.Node)
	b.Ping(t, a.Node)
	wgtest.Eventually(t, "the hidden nodes use the relay, and c's path to them is direct", func() bool {
		return a.status(b.Key).Kind == path.KindRelayed && b.status(a.Key).Kind == path.KindRelayed &&
			a.status(c.Key).Kind == path.KindDirect && c.status(a.Key).Kind == path.KindDirect
	})
	if at := c.status(a.Key).Endpoint; at.Addr() != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("c reaches a by %s, want the NAT's address 10.0.0.1", at)
	}
}
