package app

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// served gives a world with so many machines that all serve.
func served(t *testing.T, count int) *world {
	t.Helper()
	w := newWorld()
	w.services[1] = helloworldSpec(1, count)
	w.quiet()
	if err := checkEnd(w); err != nil || w.err != nil {
		t.Fatal(err, w.err)
	}
	for _, m := range w.machines {
		m.info.State = api.NodeReady
	}
	w.tell()
	w.step()
	return w
}

func TestNewManagerTellsNobodyWhatTheyKnow(t *testing.T) {
	w := served(t, 3)
	w.newManager()
	w.puts = 0
	w.quiet()
	if w.puts != 0 || !w.last.state.Settled {
		t.Errorf("a new manager sent %d specs, settled %v; want none, and settled", w.puts, w.last.state.Settled)
	}
	// What changes later goes out as a change, not as a whole spec.
	w.create(1, api.HelloworldNode)
	w.services[1].Nodes[api.HelloworldNode] = 4
	w.quiet()
	if w.puts != 1 || !w.last.state.Settled {
		t.Errorf("a new machine cost %d specs, settled %v; want one, its own", w.puts, w.last.state.Settled)
	}
}

func TestGraceOfNewManager(t *testing.T) {
	w := served(t, 2)
	w.newManager()
	w.tell()
	w.step()
	s := w.last.state
	if len(s.Nodes) != 0 || s.Settled || s.Services[1].State != api.StateAdapting || len(s.Services[1].Endpoints) != 2 {
		t.Errorf("in its grace a new manager says %+v; want no word on nodes it has not seen, and their endpoints", s)
	}
	w.now = w.now.Add(DefaultTiming().Grace)
	w.step()
	s = w.last.state
	if n := s.Nodes["n1"]; n.Connected || n.Ready || !strings.Contains(n.Reason, "not connected") {
		t.Errorf("after its grace it says %+v of a silent node", n)
	}
	if s.Services[1].State != api.StateError || len(s.Services[1].Endpoints) != 0 || len(s.Plan.Services[0].Delete)+len(s.Plan.Services[0].Drain) > 0 {
		t.Errorf("after its grace it says %+v %+v; want ERROR, and nobody deleted", s.Services[1], s.Plan)
	}
}

func TestGraceEndsWhenAllAreThere(t *testing.T) {
	w := served(t, 2)
	w.newManager()
	w.tell()
	w.connect(w.machines["n1"])
	w.step()
	if !w.core.grace {
		t.Error("the grace ended before everybody was there")
	}
	w.connect(w.machines["n2"])
	w.step()
	if w.core.grace {
		t.Error("everybody is there, and the grace goes on")
	}
}

func TestSilence(t *testing.T) {
	w := served(t, 2)
	w.drop(w.machines["n1"])
	w.step()
	s := w.last.state
	if n := s.Nodes["n1"]; n.Connected || n.Ready || len(s.Services[1].Endpoints) != 2 || s.Settled {
		t.Errorf("right after: %+v %+v; want unhealthy, and still an endpoint", n, s.Services[1])
	}
	w.now = w.now.Add(DefaultTiming().Brief)
	w.step()
	s = w.last.state
	if len(s.Services[1].Endpoints) != 1 || s.Services[1].State != api.StateAdapting || len(s.Plan.Services[0].Drain) > 0 {
		t.Errorf("later: %+v %+v; want one endpoint, and nobody drained", s.Services[1], s.Plan)
	}
}

func TestReportBeforeAnswer(t *testing.T) {
	w := newWorld()
	w.services[1] = helloworldSpec(1, 1)
	w.tell()
	w.step()
	w.direct()
	m := w.machines["n1"]
	w.boot(m)
	w.connect(m)
	w.report(m)
	w.step()
	m.spec, m.applied = w.calls[0].spec, w.calls[0].spec
	w.report(m)
	w.core.called(w.now, w.calls[0], nil)
	w.calls = nil
	w.step()
	if !w.last.state.Nodes["n1"].Ready {
		t.Errorf("%+v", w.last.state.Nodes["n1"])
	}
}

func TestOtherMachineInItsPlace(t *testing.T) {
	w := served(t, 2)
	info := &w.machines["n1"].info
	info.Key, info.State = "another key", api.NodeJoined
	cut := w.core.learn(w.now, w.epoch, w.spec())
	if len(cut) != 1 || cut[0] != "n1" {
		t.Errorf("cut %v, want the connection of the machine that was there before", cut)
	}
	w.machines["n1"].session, w.machines["n1"].spec, w.machines["n1"].applied = 0, nil, nil
	w.step()
	if n := w.last.state.Nodes["n1"]; n.Connected || n.Status != nil {
		t.Errorf("the new machine is said to be %+v", n)
	}
	w.puts = 0
	w.quiet()
	if err := checkEnd(w); err != nil || w.puts != 1 {
		t.Errorf("%v, %d specs sent, want 1", err, w.puts)
	}
}

func TestResend(t *testing.T) {
	w := served(t, 1)
	w.services[1].Settings = map[string]string{"greeting": "other"}
	w.tell()
	w.step()
	w.deliver(0, lucky) // accepted, and never applied
	w.now = w.now.Add(DefaultTiming().Resend - time.Second)
	w.step()
	if len(w.calls) > 0 {
		t.Fatalf("sent again too early: %+v", w.calls)
	}
	w.now = w.now.Add(time.Second)
	w.step()
	if len(w.calls) != 1 {
		t.Fatalf("%d calls, want the spec again", len(w.calls))
	}
}

func TestRetriesGrowAndAreSlow(t *testing.T) {
	w := served(t, 1)
	w.services[1].Settings = map[string]string{"greeting": "other"}
	w.tell()
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		w.step()
		if len(w.calls) != 1 {
			t.Fatalf("%d calls, want one", len(w.calls))
		}
		w.deliver(0, lostCall)
		w.now = w.now.Add(pause*time.Second - time.Millisecond)
		if w.step(); len(w.calls) > 0 {
			t.Fatalf("called again before %v s", pause)
		}
		if n := w.last.state.Nodes["n1"]; !strings.Contains(n.Reason, "not delivered") {
			t.Errorf("the director is told %q", n.Reason)
		}
		w.now = w.now.Add(time.Millisecond)
	}
	if w.step(); len(w.calls) != 1 || !w.calls[0].slow {
		t.Errorf("calls %+v, want one in the slow lane", w.calls)
	}
}

// brokenHalf makes a plan that must not be carried out.
type brokenHalf struct{}

func (brokenHalf) Plan(in service.Input) service.Plan {
	p := service.Plan{Nodes: map[api.NodeID]service.Config{}}
	for _, n := range in.Nodes {
		p.Nodes[n.ID] = service.Config{Roles: []api.RoleSpec{{Role: "node"}}}
		p.Delete = append(p.Delete, n.ID)
	}
	return p
}

func TestWrongPlanDoesNothing(t *testing.T) {
	w := served(t, 2)
	w.core.halves = map[api.ServiceType]service.Half{api.Helloworld: brokenHalf{}}
	w.step()
	s := w.last.state
	p := s.Plan.Services[0]
	if len(w.calls) > 0 || len(p.Delete)+len(p.Drain) > 0 || p.Wanted[api.HelloworldNode] != 2 || s.Services[1].State != api.StateError || s.Settled {
		t.Errorf("calls %v, plan %+v, service %+v", w.calls, p, s.Services[1])
	}
}

func TestUnknownType(t *testing.T) {
	w := newWorld()
	w.services[1] = &api.ServiceSpec{ID: 1, Type: "later", Nodes: map[api.Role]int{"x": 1}}
	w.tell()
	w.step()
	if s := w.last.state.Services[1]; s.State != api.StateError || !strings.Contains(s.Reason, `"later"`) {
		t.Errorf("%+v", s)
	}
}

func TestNoSpecNoPlan(t *testing.T) {
	w := newWorld()
	w.step()
	if w.last.state.Plan != nil || w.last.state.Settled {
		t.Errorf("without a spec the manager says %+v", w.last.state)
	}
}

// A machine that nobody can reach first must hold its NAT open, and gets all its peers anew when that changes.
func TestKeepalive(t *testing.T) {
	w := served(t, 2)
	for _, p := range w.machines["n1"].spec.Overlay.Peers {
		if p.Keepalive {
			t.Errorf("peer %+v, want no keepalive where everybody has an endpoint", p)
		}
	}
	w.machines["n1"].info.Endpoint = netip.AddrPort{}
	w.quiet()
	for _, p := range w.machines["n1"].spec.Overlay.Peers {
		if !p.Keepalive {
			t.Errorf("peer %+v of a node behind a NAT, want keepalive", p)
		}
	}
	if p := w.machines["n2"].spec.Overlay.Peers[0]; p.Keepalive || p.Endpoint.IsValid() {
		t.Errorf("peer %+v of the other", p)
	}
	if !w.last.state.Settled {
		t.Error("not settled")
	}
}
