package managertest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// fleet is what a director does with plans: it makes machines and lets them go.
type fleet struct {
	d      *Director
	m      *Manager
	agents map[api.NodeID]*Agent
	spec   api.ManagerSpec
	next   int
}

// reach carries plans out until the manager says that the spec is settled.
func (f *fleet) reach(t *testing.T, s api.ManagerSpec) Known {
	t.Helper()
	f.spec = s
	revision := s.Application.Revision
	for {
		f.spec.Nodes = nil
		for _, id := range slices.SortedFunc(maps.Keys(f.agents), service.ByAge) {
			f.spec.Nodes = append(f.spec.Nodes, f.agents[id].Info)
		}
		f.m.Put(f.spec)
		var changed bool
		k := f.m.AwaitKnown("a plan to carry out, or the end", func(k Known) bool {
			changed = k.Revision == revision && f.obey(k)
			return changed || k.Revision == revision && k.Settled
		})
		if !changed {
			return k
		}
	}
}

// obey does what a plan asks for, and tells whether that was anything.
func (f *fleet) obey(k Known) bool {
	changed := false
	for _, p := range k.Plan {
		for _, id := range p.Drain {
			if a := f.agents[id]; a != nil && a.Info.State != api.NodeDraining {
				a.Info.State, changed = api.NodeDraining, true
			}
		}
		for _, id := range p.Delete {
			if a := f.agents[id]; a != nil {
				a.Disconnect()
				delete(f.agents, id)
				changed = true
			}
		}
		leaving := len(p.Drain)
		for have := len(f.agents) - leaving; have < p.Wanted[api.HelloworldNode]; have++ {
			f.next++
			a := f.d.NewAgent(api.NodeID(fmt.Sprintf("n%d", f.next)), Application, 1, f.next)
			f.agents[a.Info.ID], changed = a, true
			a.Connect(f.m) // it tries until the manager has heard of it
		}
	}
	return changed
}

func TestScalesAndHeals(t *testing.T) {
	d := NewDirector(t)
	m := d.StartManager("n1000", Application, Timing())
	m.Put(spec(1, 1))
	m.Watch()
	f := &fleet{d: d, m: m, agents: map[api.NodeID]*Agent{}}

	k := f.reach(t, spec(1, 3))
	if s := k.Services[1]; s.State != api.StateRunning || len(s.Endpoints) != 3 || s.Endpoints[0].Port != 8080 {
		t.Errorf("with three machines the service is %+v", s)
	}
	k = f.reach(t, spec(2, 1))
	if len(f.agents) != 1 || f.agents["n1"] == nil || len(k.Services[1].Endpoints) != 1 {
		t.Errorf("after the removal of two there are %v", slices.Collect(maps.Keys(f.agents)))
	}
	f.reach(t, spec(3, 2))

	// The machine dies, and the director finds out.
	dead := f.agents["n1"]
	dead.Disconnect()
	m.AwaitKnown("the manager sees that the agent is silent", func(k Known) bool { return !k.Nodes["n1"].Connected && !k.Settled })
	delete(f.agents, "n1")
	k = f.reach(t, spec(3, 2))
	for _, a := range f.agents {
		_, has := a.Look()
		if len(has.Overlay.Peers) != 1 || has.Overlay.Peers[0].Node == "n1" {
			t.Errorf("node %s knows %+v, want the other live one", a.Info.ID, has.Overlay.Peers)
		}
	}
	if len(k.Nodes) != 2 {
		t.Errorf("the manager still speaks of %+v", k.Nodes)
	}
}

func TestStoppedServiceLeavesNothing(t *testing.T) {
	_, m, agents, s := serving(t, 2)
	s.Application.Services, s.Application.Revision = nil, 2
	m.Put(s)
	m.AwaitKnown("the machines may go", func(k Known) bool { return len(k.Plan[1].Delete) == 2 })
	for _, a := range agents {
		if _, has := a.Look(); len(has.Roles) > 0 || has.Type != api.Helloworld {
			t.Errorf("node %s is %s with %+v", a.Info.ID, has.Type, has.Roles)
		}
	}
	s.Nodes = nil
	m.Put(s)
	m.AwaitSettled(2)
}

func TestFailingRoleIsTold(t *testing.T) {
	_, m, agents, _ := serving(t, 1)
	agents[0].Break(true)
	m.AwaitKnown("the service has failed", func(k Known) bool {
		return k.Services[1].State == api.StateError && k.Services[1].Reason == "n1: role node: it was broken by the test" && !k.Nodes["n1"].Ready
	})
	agents[0].Break(false)
	m.AwaitKnown("the service runs", func(k Known) bool { return k.Services[1].State == api.StateRunning && k.Nodes["n1"].Ready })
}
