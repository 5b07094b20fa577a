package path_test

import (
	"net/netip"
	"testing"

	"conpaas/vpn"
	"conpaas/vpn/path"
	"conpaas/vpn/relay"
	"conpaas/vpn/wgtest"
)

// Three relays, as the manager's, that of an administrator and the director's are, are lost one after another: the pair
// moves on in the order of the list. When the preferred one is back it is taken again, and the direct path before all
// of them. The stream goes on all the time.
func TestRelaysAreLostOneAfterAnother(t *testing.T) {
	t.Parallel()
	plan, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	bridge := wgtest.NewBridge(t)
	var nodes [2]*wgtest.Node
	for i, name := range []string{"a", "b"} {
		overlay, err := plan.Address(0, i+1)
		if err != nil {
			t.Fatal(err)
		}
		nodes[i] = wgtest.NewNode(t, bridge, name, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 24), plan, overlay)
		nodes[i].Echo(t)
	}
	names := []string{"manager", "10.0.0.102:5000", "director"}
	relays := make([]*relayHost, len(names))
	for i, name := range names {
		relays[i] = newRelayHost(t, bridge, name, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 101)}), 24))
		for _, n := range nodes {
			relays[i].nodes = append(relays[i].nodes, relay.Node{Key: n.Key, Group: "app"})
		}
		relays[i].start(t)
	}
	apart(t)(nodes[0], nodes[1])
	a := start(t, nodes[0], true, []vpn.Peer{nodes[1].Peer()}, relays...)
	b := start(t, nodes[1], true, []vpn.Peer{nodes[0].Peer()}, relays...)
	through := func(kind path.Kind, name string) {
		t.Helper()
		wgtest.Eventually(t, "both ends say "+string(kind)+" "+name, func() bool {
			x, y := a.status(b.Key), b.status(a.Key)
			return x.Kind == kind && x.Relay == name && y.Kind == kind && y.Relay == name
		})
	}
	a.Ping(t, b.Node)
	through(path.KindRelayed, names[0])
	stream := a.NewStream(t, b.Node)
	for i := range names[1:] {
		stream.Advance(t, 3)
		relays[i].stop()
		through(path.KindRelayed, names[i+1])
	}
	stream.Advance(t, 3)
	relays[0].start(t)
	through(path.KindRelayed, names[0])
	stream.Advance(t, 3)
	a.Open(t)
	b.Open(t)
	through(path.KindDirect, "")
	stream.Advance(t, 3)
	if err := stream.Stop(); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
}
