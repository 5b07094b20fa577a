package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/store"
)

// asText gives the steps as text, for example "v1 attach", "v2 -> n3", "new -> n4".
func asText(steps []volumeStep) (text []string) {
	for _, s := range steps {
		switch {
		case s.create != nil:
			text = append(text, fmt.Sprintf("new %d -> %s", s.create.SizeMiB, s.create.Node))
		case s.event == "" && s.role == "":
			text = append(text, fmt.Sprintf("%s -> no role", s.id))
		case s.event == "":
			text = append(text, fmt.Sprintf("%s -> %s", s.id, s.node))
		default:
			text = append(text, fmt.Sprintf("%s %s", s.id, s.event))
		}
	}
	return text
}

// TestVolumeSteps is what is done with volumes in each situation.
func TestVolumeSteps(t *testing.T) {
	auto := func(id api.VolumeID, state api.VolumeState, node, holder api.NodeID) store.Volume {
		return store.Volume{ID: id, Service: 1, Role: "node", Automatic: true, Mount: "data", Cloud: "c", State: state, Node: node, Holder: holder, Machine: string(holder)}
	}
	users := func(id api.VolumeID, state api.VolumeState, node, holder api.NodeID, after int64) store.Volume {
		v := auto(id, state, node, holder)
		v.Automatic, v.Mount, v.After = false, string(id), after
		return v
	}
	node := func(id api.NodeID, state api.NodeState) store.Node {
		return store.Node{ID: id, Service: 1, Role: "node", Cloud: "c", State: state, Machine: "m-" + string(id)}
	}
	removed, newer := auto("v1", api.VolumeAvailable, "", ""), auto("v2", api.VolumeAvailable, "", "")
	removed.Role, newer.Since = "", time.Unix(1, 0)
	const running, stopped, deleted = store.ApplicationRunning, store.ApplicationStopped, store.ApplicationDeleted
	for _, c := range []struct {
		name    string
		wanted  store.ApplicationWanted
		count   int // machines wanted; -1: the service is removed
		nodes   []store.Node
		volumes []store.Volume
		want    string
	}{
		{"a new machine", running, 1, []store.Node{node("n2", api.NodeWanted)}, nil, "new 64 -> n2"},
		{"a machine that goes gets none", running, 1, []store.Node{node("n2", api.NodeDraining)}, nil, ""},
		{"made", running, 1, []store.Node{node("n2", api.NodeWanted)}, []store.Volume{auto("v1", api.VolumeWanted, "n2", "")}, "v1 create"},
		{"its machine is there", running, 1, []store.Node{node("n2", api.NodeBooting)}, []store.Volume{auto("v1", api.VolumeAvailable, "n2", "")}, "v1 attach"},
		{"all is well", running, 1, []store.Node{node("n2", api.NodeReady)}, []store.Volume{auto("v1", api.VolumeAttached, "n2", "n2")}, ""},
		{"a silent machine keeps it", running, 1, []store.Node{node("n2", api.NodeUnreachable)}, []store.Volume{auto("v1", api.VolumeAttached, "n2", "n2")}, ""},
		{"a lost machine", running, 1, []store.Node{node("n2", api.NodeFailed)}, []store.Volume{auto("v1", api.VolumeAttached, "n2", "n2")}, "v1 -> "},
		{
			"a lost machine whose successor waits", running, 1,
			[]store.Node{node("n2", api.NodeFailed), node("n3", api.NodeWanted)},
			[]store.Volume{auto("v1", api.VolumeAttached, "n2", "n2")},
			"v1 -> ",
		},
		{
			"its successor", running, 1,
			[]store.Node{node("n2", api.NodeDeleting), node("n3", api.NodeWanted)},
			[]store.Volume{auto("v1", api.VolumeAttached, "", "n2")},
			"v1 -> n3",
		},
		{
			"let go first", running, 1,
			[]store.Node{node("n2", api.NodeDeleting), node("n3", api.NodeWanted)},
			[]store.Volume{auto("v1", api.VolumeAttached, "n3", "n2")},
			"v1 detach",
		},
		{"the successor is not made yet", running, 1, nil, []store.Volume{auto("v1", api.VolumeAvailable, "", "")}, ""},
		{
			"one too many", running, 1,
			[]store.Node{node("n2", api.NodeReady)},
			[]store.Volume{auto("v1", api.VolumeAttached, "n2", "n2"), auto("v2", api.VolumeAvailable, "", "")},
			"v2 abandon",
		},
		{
			"one too many that is not made", running, 1,
			[]store.Node{node("n2", api.NodeReady)},
			[]store.Volume{auto("v1", api.VolumeAttached, "n2", "n2"), auto("v2", api.VolumeWanted, "", "")},
			"v2 delete",
		},
		{"stopped", stopped, 1, nil, []store.Volume{auto("v1", api.VolumeAvailable, "", ""), users("v2", api.VolumeAvailable, "", "", 2)}, ""},
		{"removed", running, -1, nil, []store.Volume{auto("v1", api.VolumeAvailable, "", ""), users("v2", api.VolumeAvailable, "", "", 2)}, "v1 abandon, v2 -> no role"},
		{
			"a machine is removed", running, 1,
			[]store.Node{node("n2", api.NodeReady), node("n3", api.NodeDeleting)},
			[]store.Volume{auto("v1", api.VolumeAttached, "n3", "n3"), auto("v2", api.VolumeAttached, "n2", "n2")},
			"v1 -> no role",
		},
		{"stopped before that of a removed machine is free", stopped, 1, nil, []store.Volume{removed, auto("v2", api.VolumeAvailable, "", "")}, "v1 abandon"},
		{"more than are needed", running, 1, []store.Node{node("n4", api.NodeWanted)}, []store.Volume{auto("v1", api.VolumeAvailable, "", ""), newer}, "v2 -> n4"},
		{"removed while a machine has it", running, -1, []store.Node{node("n2", api.NodeDraining)}, []store.Volume{auto("v1", api.VolumeAttached, "n2", "n2")}, ""},
		{"application deleted", deleted, 1, nil, []store.Volume{auto("v1", api.VolumeAvailable, "", ""), users("v2", api.VolumeAvailable, "", "", 2)}, "v1 abandon, v2 abandon"},
		{
			"a user's goes to no machine that was there", running, 2,
			[]store.Node{node("n3", api.NodeReady), node("n4", api.NodeReady)},
			[]store.Volume{auto("v1", api.VolumeAttached, "n3", "n3"), auto("v2", api.VolumeAttached, "n4", "n4"), users("v3", api.VolumeAvailable, "", "", 4)},
			"",
		},
		{
			"a user's goes to the next one", running, 2,
			[]store.Node{node("n3", api.NodeReady), node("n5", api.NodeReady)},
			[]store.Volume{auto("v1", api.VolumeAttached, "n3", "n3"), auto("v2", api.VolumeAttached, "n5", "n5"), users("v3", api.VolumeAvailable, "", "", 4)},
			"v3 -> n5",
		},
		{"a user's that was refused", running, 0, nil, []store.Volume{{ID: "v1", State: api.VolumeWanted, Reason: "no room"}}, "v1 delete"},
		{"detached", running, 1, []store.Node{node("n2", api.NodeReady)}, []store.Volume{auto("v1", api.VolumeAttached, "n2", "n2"), users("v2", api.VolumeAttached, "", "n2", 9)}, "v2 detach"},
		{"attached again while it is detached", running, 1, []store.Node{node("n2", api.NodeReady)}, []store.Volume{auto("v1", api.VolumeAttached, "n2", "n2"), users("v2", api.VolumeDetaching, "n2", "n2", 0)}, "v2 attach"},
	} {
		t.Run(c.name, func(t *testing.T) {
			service := store.Service{ID: 1, Type: "t", Wanted: store.ServiceStarted, Nodes: map[api.Role]int{"node": c.count}, Settings: map[string]string{api.VolumeSize: "64"}}
			if c.count < 0 {
				service.Wanted = store.ServiceRemoved
			}
			s := &snapshot{application: store.Application{Wanted: c.wanted}, services: []store.Service{service}, nodes: slices.Clone(c.nodes), volumes: c.volumes}
			kind := func(api.ServiceType, api.Role) *api.VolumeKind { return &api.VolumeKind{Name: "data", SizeMiB: 1024} }
			if got := strings.Join(asText(volumeSteps(s, kind, func(store.Volume) bool { return false })), ", "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
