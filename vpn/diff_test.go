package vpn_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"conpaas/vpn"
)

// drawPeers draws a list in which names, and values, come up more than once.
func drawPeers(t *rapid.T, label string) []vpn.Peer {
	one := rapid.Custom(func(t *rapid.T) vpn.Peer {
		return vpn.Peer{
			Name:      rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "name"),
			Key:       rapid.SampledFrom([]string{"k1", "k2"}).Draw(t, "key"),
			Address:   netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(1, 3).Draw(t, "address"))}),
			Endpoint:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(rapid.IntRange(0, 1).Draw(t, "port"))),
			Keepalive: rapid.Bool().Draw(t, "keepalive"),
		}
	})
	return rapid.SliceOfN(one, 0, 8).Draw(t, label)
}

// toMap is what a list means.
func toMap(peers []vpn.Peer) map[string]vpn.Peer {
	m := make(map[string]vpn.Peer)
	for _, p := range peers {
		m[p.Name] = p
	}
	return m
}

func TestDiffTurnsOldIntoNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := drawPeers(t, "old"), drawPeers(t, "new")
		set, remove := vpn.Diff(before, after)
		got, want := toMap(before), toMap(after)
		for _, p := range set {
			if got[p.Name] == p {
				t.Fatalf("%s is set to what it is", p.Name)
			}
			got[p.Name] = p
		}
		for _, name := range remove {
			if _, ok := got[name]; !ok {
				t.Fatalf("%s is removed twice or was never there", name)
			}
			delete(got, name)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); d != "" {
			t.Fatalf("old with the difference is not new (-want +got):\n%s", d)
		}
	})
}

func TestDiffOfOneJoinIsOnePeer(t *testing.T) {
	var many []vpn.Peer
	for i := range 1000 {
		many = append(many, vpn.Peer{Name: string(rune('a' + i)), Address: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})})
	}
	set, remove := vpn.Diff(many[:999], many)
	if len(set) != 1 || len(remove) != 0 || set[0] != many[999] {
		t.Errorf("set %v, remove %v, want the new one only", set, remove)
	}
	if set, remove := vpn.Diff(many, many); set != nil || remove != nil {
		t.Errorf("the difference to itself is %v, %v", set, remove)
	}
}
