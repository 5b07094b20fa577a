package app

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// Whatever happens in whatever order, the core asks for nothing wrong on the way, and once nothing goes wrong any more
// there are exactly the wanted machines, all serving.
func TestConvergesFromAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.services[1] = helloworldSpec(1, 1)
		pick := func(t *rapid.T) *machine {
			if len(w.machines) == 0 {
				return &machine{dead: true} // of no consequence
			}
			return w.machines[rapid.SampledFrom(slices.SortedFunc(maps.Keys(w.machines), service.ByAge)).Draw(t, "node")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"scale": func(t *rapid.T) {
				id := api.ServiceID(rapid.IntRange(1, 2).Draw(t, "service"))
				w.services[id] = helloworldSpec(id, rapid.IntRange(1, 4).Draw(t, "count"))
				w.epoch.Revision++
				w.tell()
			},
			"greet": func(t *rapid.T) {
				for _, s := range w.services {
					s.Settings = map[string]string{"greeting": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "greeting")}
				}
				w.epoch.Revision++
				w.tell()
			},
			"stop": func(t *rapid.T) {
				delete(w.services, 2)
				w.epoch.Revision++
				w.tell()
			},
			"round":      func(*rapid.T) { w.round() },
			"direct":     func(*rapid.T) { w.direct() },
			"boot":       func(t *rapid.T) { w.boot(pick(t)) },
			"connect":    func(t *rapid.T) { w.connect(pick(t)) },
			"disconnect": func(t *rapid.T) { w.drop(pick(t)) },
			"report":     func(t *rapid.T) { w.report(pick(t)) },
			"break":      func(t *rapid.T) { pick(t).broken = true },
			"die":        func(t *rapid.T) { pick(t).dead = true },
			"found dead": func(t *rapid.T) {
				if m := pick(t); m.dead && admitted(m.info.State) {
					m.info.State = api.NodeFailed
					w.tell()
				}
			},
			"unreachable": func(t *rapid.T) {
				if m := pick(t); m.session == 0 && (m.info.State == api.NodeJoined || m.info.State == api.NodeReady) {
					m.info.State = api.NodeUnreachable
					w.tell()
				}
			},
			"deliver": func(t *rapid.T) {
				if len(w.calls) > 0 {
					w.deliver(rapid.IntRange(0, len(w.calls)-1).Draw(t, "call"), rapid.SampledFrom([]luck{lucky, lucky, lucky, lostCall, lostAnswer}).Draw(t, "luck"))
				}
			},
			"wait": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
			},
			"rotate": func(t *rapid.T) {
				w.trust = rapid.SampledFrom([]string{"old", "both", "new"}).Draw(t, "trust")
				w.tell()
			},
			"new manager": func(*rapid.T) { w.newManager(); w.tell() },
			"": func(t *rapid.T) {
				w.step()
				if w.err != nil {
					t.Fatal(w.err)
				}
				if err := checkPlan(w); err != nil {
					t.Fatal(err)
				}
			},
		})
		w.quiet()
		if w.err != nil {
			t.Fatal(w.err)
		}
		if err := checkEnd(w); err != nil {
			t.Fatal(err)
		}
	})
}

func helloworldSpec(id api.ServiceID, count int) *api.ServiceSpec {
	return &api.ServiceSpec{ID: id, Type: api.Helloworld, Name: "hello", Nodes: map[api.Role]int{api.HelloworldNode: count}}
}

// checkPlan tells what is wrong with the last plan.
func checkPlan(w *world) error {
	if w.last.state.Plan == nil {
		return nil
	}
	for _, s := range w.last.state.Plan.Services {
		spec := w.services[s.Service]
		count := 0
		if spec != nil {
			count = spec.Nodes[api.HelloworldNode]
		}
		live, leaving := 0, 0
		for id, n := range w.core.nodes {
			if n.info.Service != s.Service || !admitted(n.info.State) {
				continue
			}
			live++
			if w.last.state.Settled && (n.session == 0 || n.info.State == api.NodeDraining || w.machines[id].applied == nil) {
				return fmt.Errorf("settled, and node %s does not serve", id)
			}
		}
		if w.last.state.Settled && live != count {
			return fmt.Errorf("settled, and service %d has %d machines instead of %d", s.Service, live, count)
		}
		for _, id := range slices.Concat(s.Drain, s.Delete) {
			if m := w.machines[id]; m == nil || m.info.State != api.NodeDraining {
				leaving++ // the director has not agreed to its end before
			}
		}
		if leaving > max(0, live-count) {
			return fmt.Errorf("service %d has %d machines, is to have %d, and %d more are to go", s.Service, live, count, leaving)
		}
		for _, id := range s.Delete {
			if m := w.machines[id]; m != nil && m.busy() {
				return fmt.Errorf("node %s is in Delete and works", id)
			}
		}
	}
	return nil
}

// checkEnd tells what is not as it is to be when all is well.
func checkEnd(w *world) error {
	if !w.last.state.Settled {
		return fmt.Errorf("not settled: %+v", w.last.state)
	}
	count := map[api.ServiceID]int{}
	for id, m := range w.machines {
		count[m.info.Service]++
		s := w.services[m.info.Service]
		if s == nil {
			return fmt.Errorf("node %s of a stopped service is left", id)
		}
		if m.applied == nil || drained(*m.applied) || !w.last.state.Nodes[id].Ready {
			return fmt.Errorf("node %s does not serve", id)
		}
		if w.trust != "" && m.trust != w.trust {
			return fmt.Errorf("node %s trusts %q, and the director says %q", id, m.trust, w.trust)
		}
		if len(m.applied.Overlay.Peers) != len(w.machines)-1 {
			return fmt.Errorf("node %s knows %d peers of %d", id, len(m.applied.Overlay.Peers), len(w.machines)-1)
		}
	}
	for id, m := range w.machines {
		if got, want := fmt.Sprint(m.applied.Names), fmt.Sprint(w.core.names.list); got != want || want == "[]" {
			return fmt.Errorf("node %s resolves %s; want %s", id, got, want)
		}
	}
	for id, s := range w.services {
		if count[id] != s.Nodes[api.HelloworldNode] {
			return fmt.Errorf("service %d has %d machines, wanted %d", id, count[id], s.Nodes[api.HelloworldNode])
		}
		if st := w.last.state.Services[id]; st.State != api.StateRunning || len(st.Endpoints) != count[id] {
			return fmt.Errorf("service %d with %d machines is %+v", id, count[id], st)
		}
	}
	before := w.puts
	for range 100 {
		w.now = w.now.Add(time.Second)
		w.step()
	}
	if len(w.last.calls) > 0 || w.puts != before {
		return fmt.Errorf("calls are made though all is well")
	}
	return nil
}
