package directortest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// manager is the simplest manager: it wants what the spec says, lets the newest machines go, and calls every machine that has
// joined ready. Connections that the director carries to it get back what they send.
type manager struct {
	cloud *Cloud
	node  api.NodeID

	mu    sync.Mutex
	spec  *api.ManagerSpec
	blobs map[string]bool // SHA-256 of what has come
}

func newManager(c *Cloud, node api.NodeID) *manager {
	return &manager{cloud: c, node: node, blobs: map[string]bool{}}
}

// ServeHTTP answers the calls that every director makes.
func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.cloud.isOlder() { // as wire.Guard answers
		e := api.Errorf(api.CodeProtocol, "it speaks protocol 0, and the call is of protocol %s", r.Header.Get(api.HeaderProtocol))
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(e.Status)
		_ = json.NewEncoder(w).Encode(e)
		return
	}
	if sum, ok := strings.CutPrefix(r.URL.Path, "/v1/blobs/"); ok {
		m.blob(w, r, sum)
		return
	}
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
		m.cloud.took(m.node, spec)
		w.WriteHeader(http.StatusNoContent)
	case "GET /v1/stream":
		out := wire.NewLineWriter(w)
		for r.Context().Err() == nil {
			for _, line := range m.cloud.said(m.report()) {
				if err := out.Write(line); err != nil {
					return
				}
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	case "GET " + api.SplicePath:
		conn, err := wire.TakeOver(w, r, api.SpliceProtocol)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		defer conn.Close()
		_, _ = io.Copy(conn, conn) // whatever ends it ends the connection
	default:
		m.cloud.other()(w, r)
	}
}

// report is everything, each time.
func (m *manager) report() api.ManagerReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := api.ManagerReport{
		Snapshot: true, Revision: m.spec.Application.Revision, Settled: true,
		Plan: &api.NodePlan{Revision: m.spec.Application.Revision},
		Self: &api.NodeStatus{Node: m.node, Version: "test", DataPlane: "userspace", Trust: m.cloud.Trust(m.node)},
	}
	nodes := make(map[api.ServiceID][]api.NodeInfo)
	for _, n := range m.spec.Nodes {
		nodes[n.Service] = append(nodes[n.Service], n)
	}
	for _, s := range m.spec.Application.Services {
		plan, missing := api.ServicePlan{Service: s.ID, Wanted: s.Nodes}, 0
		for role, count := range s.Nodes {
			of := slices.DeleteFunc(slices.Clone(nodes[s.ID]), func(n api.NodeInfo) bool { return n.Role != role })
			missing += count - m.plan(&r, &plan, of, count)
		}
		state := api.StateRunning
		if missing != 0 || len(plan.Delete)+len(plan.Drain) > 0 {
			state, r.Settled = api.StateAdapting, false
		}
		r.Plan.Services = append(r.Plan.Services, plan)
		r.Services = append(r.Services, api.ServiceStatus{Service: s.ID, State: state, Code: m.code(&r, s.Code)})
		delete(nodes, s.ID)
	}
	for service, left := range nodes {
		plan := api.ServicePlan{Service: service}
		m.plan(&r, &plan, left, 0)
		r.Plan.Services = append(r.Plan.Services, plan)
	}
	return r
}

// code serves what is wanted as soon as it is here, unless the cloud's refusal has something against it.
func (m *manager) code(r *api.ManagerReport, c *api.CodeSpec) *api.CodeStatus {
	if c == nil {
		return nil
	}
	status := &api.CodeStatus{Serving: c.Wanted}
	for _, v := range c.Versions {
		if v.SHA256 != "" && !m.blobs[v.SHA256] {
			r.Lacks = append(r.Lacks, v.SHA256)
			status.Serving = c.Serving
		}
	}
	if reason := m.cloud.refusal(c.Wanted); reason != "" && c.Wanted != c.Serving {
		status = &api.CodeStatus{Serving: c.Serving, Refused: c.Wanted, Reason: reason}
	}
	return status
}

// blob takes whole blobs only.
func (m *manager) blob(w http.ResponseWriter, r *http.Request, sum string) {
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	data, err := io.ReadAll(r.Body)
	if have := sha256.Sum256(data); err != nil || hex.EncodeToString(have[:]) != sum {
		http.Error(w, "it is another blob", http.StatusUnprocessableEntity)
		return
	}
	m.mu.Lock()
	m.blobs[sum] = true
	m.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// plan lets the nodes beyond count go, and tells how many of the others are ready.
func (m *manager) plan(r *api.ManagerReport, plan *api.ServicePlan, nodes []api.NodeInfo, count int) int {
	stay, ready := 0, 0
	for _, n := range nodes {
		health := api.NodeHealth{Node: n.ID, Status: &api.NodeStatus{Node: n.ID, Trust: m.cloud.Trust(n.ID)}}
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
		for _, v := range n.Volumes {
			health.Status.Volumes = append(health.Status.Volumes, v.ID)
		}
		r.Nodes = append(r.Nodes, health)
	}
	return ready
}
