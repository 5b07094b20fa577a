package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// A reader that puts the lines together knows the state, whatever states it has missed.
func TestLinesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var old *State
		known := State{Services: map[api.ServiceID]api.ServiceStatus{}, Nodes: map[api.NodeID]api.NodeHealth{}}
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			s := drawState(t)
			lines := s.Lines(old)
			if old != nil && reflect.DeepEqual(*old, s) != (len(lines) == 0) {
				t.Fatalf("%d lines between\n%+v and\n%+v", len(lines), *old, s)
			}
			for _, line := range lines {
				known = read(known, line)
			}
			if diff := cmp.Diff(s, known, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
				t.Fatalf("the reader knows another state (-said +known):\n%s", diff)
			}
			old = &s
		}
	})
}

func drawState(t *rapid.T) State {
	s := State{
		Revision: rapid.Uint64Range(1, 2).Draw(t, "revision"), Settled: rapid.Bool().Draw(t, "settled"), Self: &api.NodeStatus{Version: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "self")},
		Services: map[api.ServiceID]api.ServiceStatus{}, Nodes: map[api.NodeID]api.NodeHealth{},
		Plan: &api.NodePlan{Revision: rapid.Uint64Range(1, 2).Draw(t, "plan")},
	}
	for _, id := range rapid.SliceOfNDistinct(rapid.IntRange(1, 2), 0, 2, rapid.ID).Draw(t, "services") {
		s.Services[api.ServiceID(id)] = api.ServiceStatus{Service: api.ServiceID(id), Reason: rapid.SampledFrom([]string{"", "x"}).Draw(t, "reason")}
	}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 0, 4, rapid.ID).Draw(t, "nodes") {
		id := api.NodeID(fmt.Sprintf("n%d", n))
		h := api.NodeHealth{Node: id, Ready: rapid.Bool().Draw(t, "ready")}
		if rapid.Bool().Draw(t, "status") {
			h.Status = &api.NodeStatus{Node: id}
			for _, p := range rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 0, 4, rapid.ID).Draw(t, "peers") {
				h.Status.Overlay = append(h.Status.Overlay, api.PeerStatus{Peer: api.NodeID(fmt.Sprintf("n%d", p)), Path: rapid.SampledFrom([]api.PathKind{api.PathDirect, api.PathRelayed}).Draw(t, "path")})
			}
			slices.SortFunc(h.Status.Overlay, func(a, b api.PeerStatus) int { return service.ByAge(a.Peer, b.Peer) })
		}
		s.Nodes[id] = h
	}
	return s
}

// read is what a reader of the stream does.
func read(known State, line api.ManagerReport) State {
	if line.Snapshot {
		known = State{Services: map[api.ServiceID]api.ServiceStatus{}, Nodes: map[api.NodeID]api.NodeHealth{}}
	}
	known.Revision, known.Settled = line.Revision, line.Settled
	if line.Plan != nil {
		known.Plan = line.Plan
	}
	if line.Self != nil {
		known.Self = line.Self
	}
	for _, s := range line.Services {
		known.Services[s.Service] = s
	}
	known.Nodes = maps.Clone(known.Nodes)
	for _, h := range line.Nodes {
		if h.Status != nil {
			peers := map[api.NodeID]api.PeerStatus{}
			if before := known.Nodes[h.Node].Status; before != nil {
				for _, p := range before.Overlay {
					peers[p.Peer] = p
				}
			}
			for _, p := range h.Status.Overlay {
				if peers[p.Peer] = p; p.Path == "" {
					delete(peers, p.Peer)
				}
			}
			status := *h.Status
			status.Overlay = slices.SortedFunc(maps.Values(peers), func(a, b api.PeerStatus) int { return service.ByAge(a.Peer, b.Peer) })
			h.Status = &status
		}
		known.Nodes[h.Node] = h
	}
	return known
}

// However much there is to say, each line is one that a reader takes, also when agents say as much as they may.
func TestLinesAreBounded(t *testing.T) {
	s := State{Nodes: map[api.NodeID]api.NodeHealth{}}
	evil := strings.Repeat("<", 100_000)
	for i := range 20 {
		id := api.NodeID(fmt.Sprintf("n%d", i))
		status := &api.NodeStatus{Node: "other", BootID: evil, Version: evil, Error: evil, DataPlane: evil, Fingerprint: evil}
		facts, err := json.Marshal(evil[:7000])
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			status.Roles = append(status.Roles, api.RoleStatus{Role: api.Role(evil), State: api.RoleState(evil), Reason: evil, PIDs: make([]int, 10_000), Facts: facts})
			status.Lacks = append(status.Lacks, evil, evil, evil, evil)
		}
		for range 5000 {
			status.Overlay = append(status.Overlay, api.PeerStatus{Peer: api.NodeID(evil), Path: api.PathKind(evil), Relay: evil})
		}
		bound(id, status)
		if status.Node != id {
			t.Fatalf("the status is of node %s", status.Node)
		}
		for j := range status.Overlay {
			status.Overlay[j].Peer = api.NodeID(fmt.Sprintf("p%d%s", j, status.Overlay[j].Peer[:120]))
		}
		s.Nodes[id] = api.NodeHealth{Node: id, Status: status}
	}
	lines := s.Lines(nil)
	if len(lines) < 10 || !lines[0].Snapshot || lines[1].Snapshot {
		t.Errorf("%d lines", len(lines))
	}
	peers := map[api.NodeID]int{}
	for _, line := range lines {
		data, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 4<<20 {
			t.Errorf("a line has %d bytes", len(data))
		}
		for _, h := range line.Nodes {
			peers[h.Node] += len(h.Status.Overlay)
		}
	}
	for id := range s.Nodes {
		if peers[id] != 5000 {
			t.Errorf("of node %s %d peers are told", id, peers[id])
		}
	}
}
