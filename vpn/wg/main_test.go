package wg_test

import (
	"net/netip"
	"os"
	"testing"

	"conpaas/vpn"
	"conpaas/vpn/wgtest"
)

func TestMain(m *testing.M) {
	wgtest.Main()
	runParent()
	os.Exit(m.Run())
}

// plan is the network of the tests: 172.16.0.0/12 with 5 service bits.
func plan(t testing.TB) vpn.Plan {
	t.Helper()
	p, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// nodes joins count nodes named a, b, … with the outside addresses 10.0.0.1, … to a bridge.
func nodes(t testing.TB, b *wgtest.Bridge, count int) []*wgtest.Node {
	t.Helper()
	p := plan(t)
	list := make([]*wgtest.Node, count)
	for i := range list {
		overlay, err := p.Address(0, i+1)
		if err != nil {
			t.Fatal(err)
		}
		outside := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 24)
		list[i] = wgtest.NewNode(t, b, string(rune('a'+i)), outside, p, overlay)
		list[i].Echo(t)
	}
	return list
}
