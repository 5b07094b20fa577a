package app

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

const (
	lineBytes = 2 << 20 // of the nodes of one line of a stream; a reader takes 4 MiB
	partPeers = 512     // peers in one piece of a node's status
)

// State is everything that a manager tells its director, at one moment. It is not changed once made.
type State struct {
	Revision uint64 // of the spec that the manager works on; 0: it has none yet
	Settled  bool
	Plan     *api.NodePlan // nil until it has a spec
	Services map[api.ServiceID]api.ServiceStatus
	Nodes    map[api.NodeID]api.NodeHealth
	Self     *api.NodeStatus
	Lacks    []string // blobs that the spec names and that are not here
}

// Lines gives what a reader that knows old (nil: nothing) is to be told, none when nothing has changed. What has
// disappeared can only be said by a snapshot. A node's Status is whole but for Overlay: that has only the peers
// which have changed, gone ones with Path "", and goes on in more lines where it is long. The stream of
// client/manager puts it together again.
func (s State) Lines(old *State) []api.ManagerReport {
	first := api.ManagerReport{Revision: s.Revision, Settled: s.Settled}
	if old == nil || missing(old.Services, s.Services) || missing(old.Nodes, s.Nodes) {
		first.Snapshot, old = true, &State{}
	}
	if !reflect.DeepEqual(s.Plan, old.Plan) {
		first.Plan = s.Plan
	}
	if !reflect.DeepEqual(s.Self, old.Self) {
		first.Self = s.Self
	}
	if !slices.Equal(s.Lacks, old.Lacks) {
		first.Lacks = s.Lacks
	}
	for _, id := range slices.Sorted(maps.Keys(s.Services)) {
		if before, ok := old.Services[id]; !ok || !reflect.DeepEqual(before, s.Services[id]) {
			first.Services = append(first.Services, s.Services[id])
		}
	}
	lines := s.pack(first, s.pieces(old))
	if len(lines) == 1 && reflect.DeepEqual(lines[0], api.ManagerReport{Revision: old.Revision, Settled: old.Settled}) {
		return nil
	}
	return lines
}

func missing[K comparable, V any](old, current map[K]V) bool {
	for k := range old {
		if _, ok := current[k]; !ok {
			return true
		}
	}
	return false
}

// pieces gives the nodes that are not as in old, those that belong into the first line first.
func (s State) pieces(old *State) []api.NodeHealth {
	var firsts, rest []api.NodeHealth
	for _, id := range slices.SortedFunc(maps.Keys(s.Nodes), service.ByAge) {
		h := s.Nodes[id]
		before, ok := old.Nodes[id]
		if ok && reflect.DeepEqual(before, h) {
			continue
		}
		if h.Status == nil {
			firsts = append(firsts, h)
			continue
		}
		var known []api.PeerStatus
		if before.Status != nil {
			known = before.Status.Overlay
		}
		changed := changedPeers(known, h.Status.Overlay)
		for i := 0; i == 0 || i < len(changed); i += partPeers {
			status := *h.Status
			status.Overlay = changed[i:min(i+partPeers, len(changed))]
			part := h
			part.Status = &status
			if i == 0 {
				firsts = append(firsts, part)
			} else {
				rest = append(rest, part)
			}
		}
	}
	return append(firsts, rest...)
}

// changedPeers gives the peers that are not as in old, those that are gone without a path.
func changedPeers(old, current []api.PeerStatus) []api.PeerStatus {
	before := make(map[api.NodeID]api.PeerStatus, len(old))
	for _, p := range old {
		before[p.Peer] = p
	}
	var out []api.PeerStatus
	for _, p := range current {
		if was, ok := before[p.Peer]; !ok || !reflect.DeepEqual(was, p) {
			out = append(out, p)
		}
		delete(before, p.Peer)
	}
	for _, id := range slices.Sorted(maps.Keys(before)) {
		out = append(out, api.PeerStatus{Peer: id})
	}
	return out
}

// pack puts the nodes into the first line and as many more as are needed.
func (s State) pack(first api.ManagerReport, nodes []api.NodeHealth) []api.ManagerReport {
	lines, size := []api.ManagerReport{first}, 0
	for _, h := range nodes {
		data, _ := json.Marshal(h) // of these types always possible: facts were checked when they came
		if size > 0 && size+len(data) > lineBytes {
			lines, size = append(lines, api.ManagerReport{Revision: s.Revision, Settled: s.Settled}), 0
		}
		last := &lines[len(lines)-1]
		last.Nodes = append(last.Nodes, h)
		size += len(data)
	}
	return lines
}
