package app

import (
	"testing"

	"conpaas/client/api"
	"conpaas/director/store"
)

// The address of a node that is gone is free when the manager has taken a spec without it and no node names it as a peer
// any more, the manager's own machine included; what nobody has said yet frees nothing.
func TestAddressesAreFreeWhenAllHaveForgotten(t *testing.T) {
	l := &link{}
	if l.forgotten("n2") {
		t.Error("without a connected manager a node counts as forgotten")
	}
	l.acked = &push{spec: api.ManagerSpec{Nodes: []api.NodeInfo{{ID: "n2"}, {ID: "n3"}}}}
	if l.forgotten("n2") || !l.forgotten("n4") {
		t.Error("the manager's spec does not count")
	}
	peer := func(id api.NodeID) *api.NodeStatus { return &api.NodeStatus{Overlay: []api.PeerStatus{{Peer: id}}} }
	heard := map[api.NodeID]api.NodeHealth{"n3": {Status: peer("n4")}}
	joined := []store.Node{{ID: "n1", OverlayKey: "k1"}, {ID: "n2", OverlayKey: "k2", State: api.NodeGone}, {ID: "n3", Service: 1, OverlayKey: "k3"}, {ID: "n5", Service: 1}}
	for name, c := range map[string]struct {
		seen observed
		want bool
	}{
		"nobody has reported":       {observed{}, true},
		"another node names it":     {observed{node: "n1", health: map[api.NodeID]api.NodeHealth{"n3": {Status: peer("n2")}}, self: peer("n3")}, true},
		"the manager names it":      {observed{node: "n1", health: heard, self: peer("n2")}, true},
		"the manager is silent":     {observed{node: "n1", health: heard}, true},
		"a node has not been heard": {observed{node: "n1", health: map[api.NodeID]api.NodeHealth{"n3": {}}, self: peer("n3")}, true},
		"all name others":           {observed{node: "n1", health: heard, self: peer("n3")}, false},
	} {
		if got := c.seen.named("n2", joined); got != c.want {
			t.Errorf("%s: named is %v, want %v", name, got, c.want)
		}
	}
}
