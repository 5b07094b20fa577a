package app

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// webHalf is a service whose proxies pass requests on to backends, in the way that php and java do: without dedicated
// backends the role is packed on the first proxy.
type webHalf struct{}

type proxyConfig struct {
	Servers []api.NodeID `json:"servers"`
}

func (webHalf) Plan(in service.Input) service.Plan {
	proxies, oldProxies := service.Select(in.Nodes, "proxy", in.Spec.Nodes["proxy"])
	backends, oldBackends := service.Select(in.Nodes, "backend", in.Spec.Nodes["backend"])
	p := service.Plan{Wanted: in.Spec.Nodes, Nodes: map[api.NodeID]service.Config{}}

	// Who is to serve, and who still does for some proxy.
	servers := ids(backends)
	if len(servers) < in.Spec.Nodes["backend"] || in.Spec.Nodes["backend"] == 0 {
		servers = append(servers, ids(proxies[:min(1, len(proxies))])...)
	}
	used := map[api.NodeID]bool{}
	for _, n := range proxies {
		if s, ok := n.RoleStatus("proxy"); ok {
			var facts proxyConfig
			_ = json.Unmarshal(s.Facts, &facts)
			for _, id := range facts.Servers {
				used[id] = true
			}
		}
	}
	for _, n := range backends {
		p.Nodes[n.ID] = service.Config{Roles: []api.RoleSpec{{Role: "backend"}}}
	}
	for i, n := range proxies {
		config, _ := json.Marshal(proxyConfig{Servers: servers})
		roles := []api.RoleSpec{{Role: "proxy", Config: config}}
		if i == 0 && (slices.Contains(servers, n.ID) || used[n.ID]) {
			roles = append(roles, api.RoleSpec{Role: "backend"})
		}
		p.Nodes[n.ID] = service.Config{Roles: roles, After: without(servers, n.ID)}
	}
	for _, n := range oldBackends {
		if used[n.ID] {
			p.Nodes[n.ID] = service.Config{Roles: []api.RoleSpec{{Role: "backend"}}}
			p.Drain = append(p.Drain, n.ID)
			continue
		}
		p.Remove(in, []service.Node{n}, func(service.Node) service.Config { return service.Config{} })
	}
	p.Remove(in, oldProxies, func(service.Node) service.Config { return service.Config{} })
	p.Judge(in, slices.Concat(proxies, backends))
	return p
}

func ids(nodes []service.Node) []api.NodeID {
	out := make([]api.NodeID, len(nodes))
	for i, n := range nodes {
		out[i] = n.ID
	}
	return out
}

func without(list []api.NodeID, id api.NodeID) []api.NodeID {
	return slices.DeleteFunc(slices.Clone(list), func(o api.NodeID) bool { return o == id })
}

// stage is a core with machines that obey at once, and writes down what they are told.
type stage struct {
	t     *testing.T
	core  *core
	now   time.Time
	spec  api.ManagerSpec
	lines []string
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s.core = newCore(map[api.ServiceType]service.Half{"web": webHalf{}}, DefaultTiming())
	s.spec.Application = api.ApplicationSpec{ID: 1, Revision: 1, Services: []api.ServiceSpec{{ID: 1, Type: "web"}}}
	return s
}

func (s *stage) add(id api.NodeID, role api.Role) {
	s.spec.Nodes = append(s.spec.Nodes, api.NodeInfo{
		ID: id, Service: 1, Role: role, State: api.NodeReady, Key: api.OverlayKey(id), Overlay: netip.MustParseAddr("10.0.0.1"),
	})
}

// run lets everything settle with these counts, and gives what was told to whom in which order.
func (s *stage) run(proxies, backends int) []string {
	s.t.Helper()
	s.lines = nil
	s.spec.Application.Services[0].Nodes = map[api.Role]int{"proxy": proxies, "backend": backends}
	for range 50 {
		s.now = s.now.Add(time.Second)
		s.core.learn(s.now, api.Epoch{Fence: 1}, s.spec)
		for _, n := range s.spec.Nodes {
			if s.core.nodes[n.ID].session == 0 {
				s.core.connected(s.now, n.ID, 1)
				s.core.reported(n.ID, 1, &api.NodeStatus{Node: n.ID})
			}
		}
		out := s.core.step(s.now)
		for _, c := range out.calls {
			s.core.called(s.now, c, nil)
			if c.spec != nil {
				s.obey(c)
			}
		}
		for _, p := range out.state.Plan.Services {
			for _, id := range p.Delete {
				s.lines = append(s.lines, fmt.Sprintf("delete %s", id))
				s.spec.Nodes = slices.DeleteFunc(s.spec.Nodes, func(n api.NodeInfo) bool { return n.ID == id })
			}
		}
		if out.state.Settled && len(out.calls) == 0 {
			return s.lines
		}
	}
	s.t.Fatalf("it does not settle: %q", s.lines)
	return nil
}

func (s *stage) obey(c call) {
	status := &api.NodeStatus{Node: c.node, Applied: c.spec.Revision}
	var roles []string
	for _, r := range c.spec.Roles {
		status.Roles = append(status.Roles, api.RoleStatus{Role: r.Role, State: api.RoleReady, Facts: r.Config})
		var facts proxyConfig
		text := string(r.Role)
		if r.Role == "proxy" {
			_ = json.Unmarshal(r.Config, &facts)
			text = fmt.Sprintf("proxy%v", facts.Servers)
		}
		roles = append(roles, text)
	}
	s.lines = append(s.lines, fmt.Sprintf("%s: %s", c.node, strings.Join(roles, " ")))
	s.core.reported(c.node, 1, status)
}

// The order of every change: new ones ready, proxies switched, old ones drained, then removed.
func TestWavesKeepTheServiceUp(t *testing.T) {
	s := newStage(t)
	check := func(got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("order of the change (-want +got):\n%s", diff)
		}
	}
	s.add("n1", "proxy")
	check(s.run(1, 0), "n1: proxy[n1] backend")

	s.add("n2", "backend")
	s.add("n3", "backend")
	check(s.run(1, 2), "n2: backend", "n3: backend", "n1: proxy[n2 n3] backend", "n1: proxy[n2 n3]")

	check(s.run(1, 1), "n1: proxy[n2]", "n3: ", "delete n3")

	s.add("n4", "proxy")
	check(s.run(2, 1), "n4: proxy[n2]")

	check(s.run(1, 0), "n1: proxy[n1] backend", "n4: ", "n2: ", "delete n4", "delete n2")
}
