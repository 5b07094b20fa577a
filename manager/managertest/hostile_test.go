package managertest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"conpaas/client/api"
)

// An agent in wrong hands that floods its manager and lies about others is heard within bounds: the others are served,
// what they say comes through, and what is said of them is not believed.
func TestHostileAgent(t *testing.T) {
	d, m, agents, s := serving(t, 3)
	hostile, other := agents[0], agents[1]
	long := strings.Repeat("x", 100_000)
	var said atomic.Int64
	hostile.Lie(func(r api.AgentReport) []api.AgentReport {
		status := *r.Status
		status.Node, status.BootID, status.Version, status.Error = other.Info.ID, long, long, long
		status.Roles = nil
		for i := range 1000 {
			status.Roles = append(status.Roles, api.RoleStatus{Role: api.Role(fmt.Sprint("role", i)), State: api.RoleFailed, Reason: long[:1000], PIDs: make([]int, 300)})
		}
		status.Overlay = []api.PeerStatus{{Peer: api.NodeID(long), Path: api.PathDirect}, {Peer: other.Info.ID, Path: api.PathNone}}
		status.Lacks = []string{long, "../../etc/shadow"}
		reports := []api.AgentReport{{Status: &status}}
		for range 30 {
			n := said.Add(1)
			reports = append(reports, api.AgentReport{Event: &api.Event{Kind: "lie", Node: other.Info.ID, Application: 77, Text: fmt.Sprint(n, long), Alarm: true}})
		}
		return reports
	})
	for range 10 {
		hostile.edit(func() {}) // so that it reports again
	}
	m.AwaitKnown("its budget is used up and its status has come", func(k Known) bool {
		return len(k.Events) >= 20 && k.Nodes[hostile.Info.ID].Status != nil && strings.HasPrefix(k.Nodes[hostile.Info.ID].Status.Version, "x")
	})
	other.Tell(api.Event{Kind: "agent.test", Text: "something has happened", Alarm: true})
	k := m.AwaitKnown("the event of another agent", func(k Known) bool { return k.Events[len(k.Events)-1].Kind == "agent.test" })
	lies := 0
	for _, e := range k.Events {
		if e.Kind == "lie" {
			lies++
			if e.Node != hostile.Info.ID || e.Application != Application || len(e.Text) > 5000 {
				t.Errorf("an event was passed on as %.300v", e)
			}
		}
	}
	if lies < 20 || lies > 25 {
		t.Errorf("%d events of it were passed on; want about 20", lies)
	}
	status := k.Nodes[hostile.Info.ID].Status
	if status.Node != hostile.Info.ID || len(status.Version) > 200 || len(status.Error) > 5000 || len(status.Roles) > 16 || len(status.Lacks[0]) > 200 {
		t.Errorf("its status was passed on as %.500v", status)
	}
	for _, a := range agents[1:] {
		if h := k.Nodes[a.Info.ID]; !h.Ready || h.Status.Version != "test" {
			t.Errorf("node %s suffers from it: %+v", a.Info.ID, h)
		}
	}
	// A connection of its own making gives it no new budget.
	hostile.Disconnect()
	hostile.Connect(m)
	d.Await("it is connected again", func() bool { seen, _ := hostile.Look(); return seen.Sessions > 1 })
	// The others are still given work.
	added := d.NewAgent("n9", Application, 1, 9)
	added.Connect(m)
	s.Nodes = append(s.Nodes, added.Info)
	s.Application.Revision++
	s.Application.Services[0].Nodes = map[api.Role]int{api.HelloworldNode: len(s.Nodes)}
	m.Put(s)
	k = m.AwaitKnown("a new node works", func(k Known) bool { return k.Nodes["n9"].Ready })
	lies = 0
	for _, e := range k.Events {
		if e.Kind == "lie" {
			lies++
		}
	}
	if lies > 30 {
		t.Errorf("%d events of it were passed on after it has connected again; want few more than 20", lies)
	}
}
