package directortest

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// manager is the simplest manager: it wants what the spec says, lets the newest machines go, and calls every machine that has
// joined ready.
type manager struct {
	cloud *Cloud
	node  api.NodeID

	mu   sync.Mutex
	spec *api.ManagerSpec
}

func newManager(c *Cloud, node api.NodeID) *manager { return &manager{cloud: c, node: node} }

// ServeHTTP answers the two calls that every director makes.
func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "PUT /v1/application":
		var spec api.ManagerSpec
		if err := json.NewDecoder(r.Body).Decode(&spec); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		m.mu.Lock()
		m.spec = &spec
		m.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	case "GET /v1/stream":
		out := wire.NewLineWriter(w)
		for r.Context().Err() == nil {
			if err := out.Write(m.report()); err != nil {
				return
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	default:
		http.NotFound(w, r)
	}
}

// report is everything, each time.
func (m *manager) report() api.ManagerReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := api.ManagerReport{
		Snapshot: true, Revision: m.spec.Application.Revision, Settled: true,
		Plan: &api.NodePlan{Revision: m.spec.Application.Revision},
		Self: &api.NodeStatus{Node: m.node, Version: "test", DataPlane: "none"},
	}
	nodes := make(map[api.ServiceID][]api.NodeInfo)
	for _, n := range m.spec.Nodes {
		nodes[n.Service] = append(nodes[n.Service], n)
	}
	for _, s := range m.spec.Application.Services {
		plan, ready := m.plan(&r, s.ID, nodes[s.ID], s.Nodes["node"])
		plan.Wanted = s.Nodes
		state := api.StateRunning
		if ready != s.Nodes["node"] || len(plan.Delete)+len(plan.Drain) > 0 {
			state, r.Settled = api.StateAdapting, false
		}
		r.Plan.Services = append(r.Plan.Services, plan)
		r.Services = append(r.Services, api.ServiceStatus{Service: s.ID, State: state})
		delete(nodes, s.ID)
	}
	for service, left := range nodes {
		plan, _ := m.plan(&r, service, left, 0)
		r.Plan.Services = append(r.Plan.Services, plan)
	}
	return r
}

// plan lets the nodes beyond count go, and tells how many of the others are ready.
func (m *manager) plan(r *api.ManagerReport, service api.ServiceID, nodes []api.NodeInfo, count int) (api.ServicePlan, int) {
	plan, stay, ready := api.ServicePlan{Service: service}, 0, 0
	for _, n := range nodes {
		health := api.NodeHealth{Node: n.ID, Status: &api.NodeStatus{Node: n.ID}}
		health.Connected = n.Key != "" && m.cloud.alive(n.ID)
		role := api.RoleStatus{Role: n.Role, State: api.RoleReady}
		switch {
		case n.State == api.NodeDraining:
			role.State = api.RoleDrained
			plan.Delete = append(plan.Delete, n.ID)
		case stay >= count:
			plan.Drain = append(plan.Drain, n.ID)
			if n.Key == "" {
				plan.Drain, plan.Delete = plan.Drain[:len(plan.Drain)-1], append(plan.Delete, n.ID)
			}
		default:
			stay++
			health.Ready = health.Connected
			if health.Ready {
				ready++
			}
		}
		health.Status.Roles = []api.RoleStatus{role}
		r.Nodes = append(r.Nodes, health)
	}
	return plan, ready
}
