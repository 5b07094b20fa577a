package app

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
)

// A node that is told the changes since some moment knows what one that is told everything knows, and the two
// have the same version exactly when they know the same.
func TestPeerChangesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table peerTable
		peers := rapid.MapOfN(rapid.IntRange(1, 6), rapid.IntRange(1, 3), 0, 6)
		self := api.NodeID("n1")
		known := map[api.NodeID]api.Peer{}
		seq, version := table.seq(), table.version(self, false)
		versions := map[string]uint64{}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			current := map[api.NodeID]api.Peer{}
			for n, v := range peers.Draw(t, "peers") {
				p := api.Peer{Node: api.NodeID(fmt.Sprintf("n%d", n)), Key: api.OverlayKey(fmt.Sprintf("k%d", v)), Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})}
				current[p.Node] = p
			}
			table.update(current)
			if rapid.Bool().Draw(t, "tell") {
				set, remove, ok := table.since(seq, self, false)
				if !ok {
					t.Fatal("changes are forgotten")
				}
				for _, p := range set {
					known[p.Node] = p
				}
				for _, id := range remove {
					delete(known, id)
				}
				before := version
				seq, version = table.seq(), table.version(self, false)
				if len(set)+len(remove) == 0 && version != before {
					t.Fatalf("another version and no changes")
				}
			}
			full := map[api.NodeID]api.Peer{}
			for _, p := range table.full(self, false) {
				full[p.Node] = p
			}
			text := fmt.Sprint(full)
			if v, ok := versions[text]; ok && v != table.version(self, false) {
				t.Fatalf("two versions of %s", text)
			}
			versions[text] = table.version(self, false)
			if version == table.version(self, false) != maps.Equal(full, known) {
				t.Fatalf("known %v, all %v, versions %d and %d", known, full, version, table.version(self, false))
			}
		}
		seen := map[uint64]string{}
		for text, v := range versions {
			if other, ok := seen[v]; ok {
				t.Fatalf("version %d is of %s and of %s", v, other, text)
			}
			seen[v] = text
		}
	})
}

func TestPeerLogForgets(t *testing.T) {
	var table peerTable
	for i := range peerLogMax + 10 {
		table.update(map[api.NodeID]api.Peer{"n1": {Node: "n1", Key: api.OverlayKey(fmt.Sprint(i))}})
	}
	if _, _, ok := table.since(5, "n2", false); ok {
		t.Error("a node that is too far behind is told changes")
	}
	if set, _, ok := table.since(10, "n2", false); !ok || len(set) != 1 {
		t.Errorf("the oldest change that is remembered gives %v, %v", set, ok)
	}
}
