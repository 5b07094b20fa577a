package managertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"conpaas/client/api"
)

// What a change costs is what changes: the others are told of one new or lost node, and nothing is repeated.
func TestChangesCostWhatTheyChange(t *testing.T) {
	d, m, agents, s := serving(t, 4)
	added := d.NewAgent("n5", Application, 1, 5)
	s.Nodes = append(s.Nodes, added.Info)
	s.Application.Services[0].Nodes = map[api.Role]int{api.HelloworldNode: 5}
	s.Application.Revision = 2
	m.Put(s)
	added.Connect(m)
	m.AwaitSettled(2)
	for _, a := range agents {
		seen, has := a.Look()
		if len(seen.Specs) != 1 || len(seen.Deltas) != 1 || len(seen.Deltas[0].Set) != 1 || seen.Deltas[0].Set[0].Node != "n5" || len(seen.Deltas[0].Remove) > 0 {
			t.Errorf("node %s was sent %d specs and %+v; want one new peer", a.Info.ID, len(seen.Specs), seen.Deltas)
		}
		if len(has.Overlay.Peers) != 4 {
			t.Errorf("node %s knows %d peers, want 4", a.Info.ID, len(has.Overlay.Peers))
		}
	}
	if seen, has := added.Look(); len(seen.Specs) != 1 || len(seen.Deltas) != 0 || len(has.Overlay.Peers) != 4 || !has.Overlay.Full {
		t.Errorf("the new node was sent %d specs, %d changes, %d peers", len(seen.Specs), len(seen.Deltas), len(has.Overlay.Peers))
	}

	// An agent that does not have the version on which a change builds is sent everything.
	agents[0].Forget()
	s.Nodes = slices.Clone(s.Nodes)
	s.Nodes[4].State = api.NodeFailed
	s.Application.Services[0].Nodes = map[api.Role]int{api.HelloworldNode: 4}
	s.Application.Revision = 3
	m.Put(s)
	m.AwaitSettled(3)
	for i, a := range agents {
		seen, has := a.Look()
		wantSpecs := 1
		if i == 0 {
			wantSpecs = 2
		}
		if len(seen.Specs) != wantSpecs || len(has.Overlay.Peers) != 3 {
			t.Errorf("node %s was sent %d specs (want %d) and knows %d peers (want 3)", a.Info.ID, len(seen.Specs), wantSpecs, len(has.Overlay.Peers))
		}
	}
}

// An agent that answers nothing keeps nobody else waiting, however many of its kind there are.
func TestSlowAgentsKeepNobodyWaiting(t *testing.T) {
	const slow = 70 // more than there are calls at one time
	d := NewDirector(t)
	timing := Timing()
	timing.Call = 500 * time.Millisecond
	m := d.StartManager("n1000", Application, timing)
	var nodes []api.NodeInfo
	var agents []*Agent
	for i := range slow {
		a := d.NewAgent(api.NodeID(fmt.Sprintf("n%d", i+1)), Application, 1, i+1)
		release := a.Hold()
		t.Cleanup(release)
		agents, nodes = append(agents, a), append(nodes, a.Info)
	}
	m.Put(spec(1, slow, nodes...))
	m.Watch()
	for _, a := range agents {
		a.Connect(m)
	}
	m.AwaitKnown("all slow agents are in trouble", func(k Known) bool {
		for _, a := range agents {
			if n := k.Nodes[a.Info.ID]; !n.Connected || n.Reason == "" || n.Ready {
				return false
			}
		}
		return len(k.Nodes) == slow
	})
	var quick []*Agent
	for i := range 5 {
		a := d.NewAgent(api.NodeID(fmt.Sprintf("n%d", slow+i+1)), Application, 1, slow+i+1)
		quick, nodes = append(quick, a), append(nodes, a.Info)
	}
	m.Put(spec(2, slow+len(quick), nodes...))
	for _, a := range quick {
		a.Connect(m)
	}
	m.AwaitKnown("the quick ones are ready", func(k Known) bool {
		return !slices.ContainsFunc(quick, func(a *Agent) bool { return !k.Nodes[a.Info.ID].Ready })
	})
	if seen, _ := agents[0].Look(); len(seen.Specs) > 0 {
		t.Errorf("the slow agents are not slow")
	}
}

// A spec that an agent does not answer in time is sent again, and counts once it is taken.
func TestSlowAgentCatchesUp(t *testing.T) {
	d := NewDirector(t)
	timing := Timing()
	timing.Call = 100 * time.Millisecond
	m := d.StartManager("n1000", Application, timing)
	a := d.NewAgent("n1", Application, 1, 1)
	release := a.Hold()
	t.Cleanup(release)
	m.Put(spec(1, 1, a.Info))
	m.Watch()
	a.Connect(m)
	m.AwaitKnown("the director is told", func(k Known) bool { return k.Nodes["n1"].Connected && len(k.Nodes["n1"].Reason) > 40 })
	release()
	m.AwaitSettled(1)
}

// Many agents that come at once are all told what they are to be, with few calls.
func TestManyAgentsJoin(t *testing.T) {
	const count = 200
	d, m, agents, s := serving(t, count)
	for _, a := range agents {
		seen, has := a.Look()
		if len(seen.Specs) != 1 || len(has.Overlay.Peers) != count-1 {
			t.Fatalf("node %s was sent %d specs and knows %d peers", a.Info.ID, len(seen.Specs), len(has.Overlay.Peers))
		}
	}
	if k := m.Look(); len(k.Services[1].Endpoints) != count || k.Snapshots != 1 {
		t.Errorf("%d endpoints, %d snapshots", len(k.Services[1].Endpoints), k.Snapshots)
	}
	for _, a := range agents { // all come again at once, on new connections
		a.Disconnect()
	}
	for _, a := range agents {
		a.Connect(m)
	}
	d.Await("all are connected again", func() bool {
		return !slices.ContainsFunc(agents, func(a *Agent) bool { seen, _ := a.Look(); return seen.Sessions < 2 })
	})
	s.Application.Revision = 2 // so that what is said of it is said after that
	m.Put(s)
	m.AwaitSettled(2)
	for _, a := range agents {
		if seen, _ := a.Look(); len(seen.Specs) != 1 || len(seen.Deltas) > 0 {
			t.Fatalf("node %s was sent %d specs and %d changes for nothing", a.Info.ID, len(seen.Specs), len(seen.Deltas))
		}
	}
}
