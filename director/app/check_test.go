package app

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
	"conpaas/director/store"
)

func TestCheckPlan(t *testing.T) {
	t.Parallel()
	node := func(id api.NodeID, state api.NodeState) store.Node {
		return store.Node{ID: id, Service: 1, Role: "node", State: state}
	}
	said := func(roles ...api.RoleState) api.NodeHealth {
		h := api.NodeHealth{Connected: true, Status: &api.NodeStatus{}}
		for _, s := range roles {
			h.Status.Roles = append(h.Status.Roles, api.RoleStatus{Role: "node", State: s})
		}
		return h
	}
	started := store.Service{ID: 1, Type: api.Helloworld, Wanted: store.ServiceStarted, Nodes: map[api.Role]int{"node": 2}}
	stopped := store.Service{ID: 1, Wanted: store.ServiceStopped, Nodes: map[api.Role]int{"node": 2}}
	tests := map[string]struct {
		service store.Service
		nodes   []store.Node
		plan    api.ServicePlan
		health  map[api.NodeID]api.NodeHealth
		want    planSteps
		refusal string
	}{
		"first machines": {
			service: started, plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 2}},
			want: planSteps{reserve: map[api.Role]int{"node": 2}},
		},
		"those on their way count": {
			service: started, plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 2}},
			nodes: []store.Node{node("n1", api.NodeWanted), node("n2", api.NodeBooting)},
		},
		"dead ones do not count": {
			service: started, plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 2}},
			nodes: []store.Node{node("n1", api.NodeReady), node("n2", api.NodeFailed), node("n3", api.NodeDeleting)},
			want:  planSteps{reserve: map[api.Role]int{"node": 1}},
		},
		"unreachable ones count until they are replaced": {
			service: started, plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 2}},
			nodes: []store.Node{node("n1", api.NodeReady), node("n2", api.NodeUnreachable)},
		},
		"one more than wanted is a surge": {
			service: started, plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 3}},
			want: planSteps{reserve: map[api.Role]int{"node": 3}},
		},
		"two more are refused": {
			service: started, plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 4}},
			refusal: "may have 3",
		},
		"no role makes room for another": {
			service: started, plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 100, "x": -100}},
			refusal: "is to have",
		},
		"no count is negative": {
			service: started, plan: api.ServicePlan{Wanted: map[api.Role]int{"node": -1}},
			refusal: "is to have -1 machines",
		},
		"no count overflows": {
			service: started, plan: api.ServicePlan{Wanted: map[api.Role]int{"node": math.MaxInt}},
			refusal: "is to have",
		},
		"a stopped service gets none": {
			service: stopped, plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 2}},
		},
		"drain before delete": {
			service: started, nodes: []store.Node{node("n1", api.NodeReady), node("n2", api.NodeReady), node("n3", api.NodeReady)},
			plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 2}, Delete: []api.NodeID{"n3"}},
			want: planSteps{drain: []api.NodeID{"n3"}},
		},
		"delete what says that it is drained": {
			service: started, nodes: []store.Node{node("n1", api.NodeReady), node("n2", api.NodeReady), node("n3", api.NodeDraining)},
			plan:   api.ServicePlan{Wanted: map[api.Role]int{"node": 2}, Delete: []api.NodeID{"n3"}},
			health: map[api.NodeID]api.NodeHealth{"n3": said(api.RoleDrained)},
			want:   planSteps{remove: []api.NodeID{"n3"}},
		},
		"keep what still serves": {
			service: started, nodes: []store.Node{node("n1", api.NodeReady), node("n2", api.NodeReady), node("n3", api.NodeDraining)},
			plan:    api.ServicePlan{Wanted: map[api.Role]int{"node": 2}, Delete: []api.NodeID{"n3"}},
			health:  map[api.NodeID]api.NodeHealth{"n3": said(api.RoleReady)},
			refusal: "has not said that it is drained",
		},
		"keep what has said nothing": {
			service: started, nodes: []store.Node{node("n1", api.NodeReady), node("n2", api.NodeReady), node("n3", api.NodeDraining)},
			plan:    api.ServicePlan{Wanted: map[api.Role]int{"node": 2}, Delete: []api.NodeID{"n3"}},
			refusal: "has not said that it is drained",
		},
		"delete what never joined": {
			service: started, nodes: []store.Node{node("n1", api.NodeReady), node("n2", api.NodeReady), node("n3", api.NodeBooting)},
			plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 2}, Delete: []api.NodeID{"n3"}},
			want: planSteps{remove: []api.NodeID{"n3"}},
		},
		"a drained one is replaced only when it is wanted": {
			service: started, nodes: []store.Node{node("n1", api.NodeReady), node("n2", api.NodeDraining)},
			plan: api.ServicePlan{Wanted: map[api.Role]int{"node": 2}, Drain: []api.NodeID{"n2"}},
			want: planSteps{reserve: map[api.Role]int{"node": 1}},
		},
		"nodes of others are not touched": {
			service: started, nodes: []store.Node{node("n1", api.NodeReady), node("n2", api.NodeReady)},
			plan:    api.ServicePlan{Wanted: map[api.Role]int{"node": 2}, Delete: []api.NodeID{"n9"}, Drain: []api.NodeID{"n8"}},
			refusal: "is not of service 1",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, refusal := checkPlan(test.service, test.nodes, test.plan, test.health)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(planSteps{})); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if !strings.Contains(refusal, test.refusal) || test.refusal == "" && refusal != "" {
				t.Errorf("refusal %q, want %q", refusal, test.refusal)
			}
		})
	}
}

func TestLostIsReadFromSteps(t *testing.T) {
	t.Parallel()
	op := store.Operation{Steps: []store.OperationStep{
		{Text: "3 machines: 1 ready"}, {Text: "given up: 2 backend: quota: no"}, {Text: "given up: 1 web: x"}, {Text: "given up: 1 backend: y"},
	}}
	want := map[api.Role]int{"backend": 3, "web": 1}
	if diff := cmp.Diff(want, lost(op)); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
	if event, failure := finished(op); event != "fail" || !strings.Contains(failure.Detail, "quota: no") {
		t.Errorf("finished: %s, %+v; want a failure with the cloud's words", event, failure)
	}
}
