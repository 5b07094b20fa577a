package app_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// running makes an application with a running service of so many machines, and gives the machines' nodes.
func running(t *testing.T, d *directortest.Director, name string, count int) []api.NodeID {
	t.Helper()
	ctx, admin, ok := t.Context(), d.Admin(), succeed(t, d)
	must[api.Application](t)(d.CreateApplication(ctx, admin, api.ApplicationCreate{Name: name}))
	must[api.Service](t)(d.AddService(ctx, admin, name, api.ServiceCreate{Type: "helloworld"}))
	ok(d.StartService(ctx, admin, name, "helloworld"))
	if count > 1 {
		ok(d.AddNodes(ctx, admin, name, "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": count - 1}}))
	}
	var nodes []api.NodeID
	for _, n := range must[[]api.Node](t)(d.ApplicationNodes(ctx, admin, name)) {
		if n.Role != api.ManagerRole {
			nodes = append(nodes, n.ID)
		}
	}
	return nodes
}

// events gives the events of an application.
func events(t *testing.T, d *directortest.Director, name string) []api.Event {
	t.Helper()
	var all []api.Event
	for after := ""; ; {
		page := must[api.List[api.Event]](t)(d.Events(t.Context(), d.Admin(), name, app.Page{After: after}))
		all = append(all, page.Items...)
		if after = page.Next; after == "" {
			return all
		}
	}
}

// stateOf gives the states of the nodes of an application.
func stateOf(t *testing.T, d *directortest.Director, name string) map[api.NodeID]api.NodeState {
	t.Helper()
	all := map[api.NodeID]api.NodeState{}
	for _, n := range must[[]api.Node](t)(d.ApplicationNodes(t.Context(), d.Admin(), name)) {
		all[n.ID] = n.State
	}
	return all
}

// When many machines fall silent at once none of them is replaced, and people are told once; one alone is replaced.
func TestManySilentMachinesAreNotReplaced(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{Timing: app.Timing{Silence: 2 * time.Second, Replace: 4 * time.Second}})
	nodes := running(t, d, "shop", 6)
	launches := d.Cloud.Launches()
	d.Cloud.Mute(true, nodes[:2]...)
	alarms := func() (found []api.Event) {
		for _, e := range events(t, d, "shop") {
			if e.Kind == "nodes.silent" {
				found = append(found, e)
			}
		}
		return found
	}
	directortest.Await(t, 20*time.Second, "the alarm", func() error {
		if len(alarms()) == 0 {
			return fmt.Errorf("the nodes are %v", stateOf(t, d, "shop"))
		}
		return nil
	})
	if e := alarms()[0]; !e.Alarm || !strings.Contains(e.Text, "2 of 6 machines are silent at once") {
		t.Errorf("people are told %+v", e)
	}
	// The first is heard again: the second is alone now, and its time was over before the alarm.
	d.Cloud.Mute(false, nodes[0])
	directortest.Await(t, 20*time.Second, "the other is replaced", func() error {
		now := stateOf(t, d, "shop")
		if _, still := now[nodes[1]]; still || now[nodes[0]] != api.NodeReady || len(now) != 7 {
			return fmt.Errorf("the nodes are %v", now)
		}
		for _, state := range now {
			if state != api.NodeReady {
				return fmt.Errorf("the nodes are %v", now)
			}
		}
		return nil
	})
	if n, a := d.Cloud.Launches()-launches, alarms(); n != 1 || len(a) != 1 {
		t.Errorf("%d machines were launched, and there are %d alarms; want one of each", n, len(a))
	}
}

// A manager in wrong hands reaches nothing but its own application, and cannot keep the director from its work.
func TestHostileManager(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	ctx, admin := t.Context(), d.Admin()
	others, own := running(t, d, "bank", 2), running(t, d, "shop", 2)
	launches := d.Cloud.Launches()
	shop := must[api.Application](t)(d.Application(ctx, admin, "shop")).ID
	long := strings.Repeat("<é>", 20_000)
	var flood atomic.Int64
	d.Cloud.Lie(func(r api.ManagerReport) []api.ManagerReport {
		if !slices.ContainsFunc(r.Nodes, func(n api.NodeHealth) bool { return n.Node == own[0] }) {
			return []api.ManagerReport{r} // the honest manager of the other application
		}
		own := r.Services[0].Service
		status := func(v string) *api.NodeStatus {
			return &api.NodeStatus{Node: others[0], Version: v, DataPlane: v, Error: v}
		}
		lies := []api.ManagerReport{
			{Snapshot: true, Revision: r.Revision, Plan: r.Plan, Services: r.Services, Nodes: r.Nodes},
			{Revision: math.MaxUint64, Settled: true, Plan: &api.NodePlan{Revision: math.MaxUint64}},
			{Revision: r.Revision, Plan: &api.NodePlan{Revision: r.Revision, Services: []api.ServicePlan{
				{Service: own, Wanted: map[api.Role]int{"node": 100_000}, Drain: slices.Repeat(others, 1000), Delete: others},
				{Service: 77, Wanted: map[api.Role]int{"node": 5}},
			}}},
			{Revision: r.Revision, Plan: &api.NodePlan{Revision: r.Revision, Services: []api.ServicePlan{{Service: own, Wanted: map[api.Role]int{api.Role(long): 1, "node": -7}}}}},
			{Revision: r.Revision, Nodes: []api.NodeHealth{{Node: others[0], Status: status("lie")}, {Node: "n9999", Status: status("lie")}, {Node: r.Nodes[0].Node, Connected: true, Reason: long, Status: status(long)}}},
			{Revision: r.Revision, Services: []api.ServiceStatus{{Service: own, State: "BROKEN", Reason: long}, {Service: 4711, State: api.StateError}}},
			{Revision: r.Revision, Services: []api.ServiceStatus{{Service: own, State: api.StateError, Reason: long, Endpoints: []api.Endpoint{{Node: others[0], Port: 22, Name: long}, {Node: "n9999", Port: 1}}}}},
			{Revision: r.Revision, Lacks: []string{"../../key", strings.Repeat("a", 64)}},
		}
		for range 50 {
			n := flood.Add(1)
			lies = append(lies, api.ManagerReport{Revision: r.Revision, Event: &api.Event{
				Kind: "lie", Node: others[0], Service: 4711, Application: 1, Text: fmt.Sprint(n, " ", long[:5000]), Alarm: true,
			}})
		}
		return lies
	})
	of := func(name string) (found []api.Event) {
		for _, e := range events(t, d, name) {
			if e.Kind == "lie" {
				found = append(found, e)
			}
		}
		return found
	}
	directortest.Await(t, 60*time.Second, "its budget of events is used up", func() error {
		if n := len(of("shop")); n < 200 || flood.Load() < 400 {
			return fmt.Errorf("%d events of %d", n, flood.Load())
		}
		return nil
	})
	told := of("shop")
	for _, e := range told {
		if e.Application != shop || e.Node != "" || e.Service != 0 || len(e.Text) > 5000 || !strings.HasSuffix(e.Text, "…") {
			t.Fatalf("an event was taken as %.300v", e)
		}
	}
	if len(told) > 260 {
		t.Errorf("%d events of %d were taken", len(told), flood.Load())
	}
	service := must[api.Service](t)(d.Service(ctx, admin, "shop", "helloworld"))
	if len(service.Reason) > 5000 || !slices.Contains([]api.State{api.StateRunning, api.StateAdapting, api.StateError}, service.State) {
		t.Errorf("the service is %s: %.300s", service.State, service.Reason)
	}
	if n := d.Cloud.Launches() - launches; n > 0 {
		t.Errorf("%d machines were launched for it", n)
	}
	if len(of("bank")) != 0 {
		t.Errorf("it has told lies of another application: %v", of("bank")[0])
	}
	for _, n := range must[[]api.Node](t)(d.ApplicationNodes(ctx, admin, "bank")) {
		if n.State != api.NodeReady || n.Version == "lie" {
			t.Errorf("the other application's node %s is %s with %q", n.ID, n.State, n.Version)
		}
	}
	for _, n := range must[[]api.Node](t)(d.ApplicationNodes(ctx, admin, "shop")) {
		if len(n.Version) > 200 || len(n.Reason) > 5000 {
			t.Errorf("node %s has version %.100q, reason %.100q", n.ID, n.Version, n.Reason)
		}
	}
	// The honest one is served as ever, and so is this one once it says the truth again.
	ok := succeed(t, d)
	ok(d.AddNodes(ctx, admin, "bank", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 1}}))
	d.Cloud.Lie(nil)
	ok(d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 1}}))
}
