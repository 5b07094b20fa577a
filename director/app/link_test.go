package app

import (
	"log/slog"
	"testing"

	"conpaas/client/api"
)

// Only news wakes the worker of an application: what managers send as a sign of life, every few seconds and from each of
// thousands, must not make it read the database.
func TestSignsOfLifeWakeNobody(t *testing.T) {
	w := newWorker(t.Context(), &Director{log: slog.New(slog.DiscardHandler)}, 1)
	w.link.known = newTold(api.ManagerSpec{Nodes: []api.NodeInfo{{ID: "n2"}}})
	for _, step := range []struct {
		what   string
		report api.ManagerReport
		wakes  bool
	}{
		{"a snapshot", api.ManagerReport{Snapshot: true, Revision: 3}, true},
		{"a sign of life", api.ManagerReport{Revision: 3}, false},
		{"an event", api.ManagerReport{Revision: 3, Event: &api.Event{Kind: "x"}}, false},
		{"it has settled", api.ManagerReport{Revision: 3, Settled: true}, true},
		{"a node", api.ManagerReport{Revision: 3, Settled: true, Nodes: []api.NodeHealth{{Node: "n2"}}}, true},
		{"a sign of life with what it lacks", api.ManagerReport{Revision: 3, Settled: true, Lacks: []string{"sum"}}, false},
		{"another revision", api.ManagerReport{Revision: 4, Settled: true}, true},
		{"a plan", api.ManagerReport{Revision: 4, Settled: true, Plan: &api.NodePlan{}}, true},
		{"itself", api.ManagerReport{Revision: 4, Settled: true, Self: &api.NodeStatus{}}, true},
		{"a service", api.ManagerReport{Revision: 4, Settled: true, Services: []api.ServiceStatus{{Service: 1}}}, true},
	} {
		w.link.take(t.Context(), step.report)
		woken := false
		select {
		case <-w.wakes:
			woken = true
		default:
		}
		if woken != step.wakes {
			t.Errorf("%s: the worker is woken: %t, want %t", step.what, woken, step.wakes)
		}
	}
	if seen := w.link.seen(); seen.revision != 4 || !seen.settled || len(seen.health) != 1 || len(w.link.lacks) != 1 {
		t.Errorf("after all of them: %+v, lacks %v", seen, w.link.lacks)
	}
}
