package app

import (
	"testing"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// view gives a node of the world as plans see it.
func (w *world) view(id api.NodeID) service.Node {
	return w.core.nodes[id].view(w.now, w.core.timing, w.core.grace)
}

// While another spec may be on its way nobody takes a node for what it was before.
func TestNodeInDoubt(t *testing.T) {
	w := served(t, 1)
	m := w.machines["n1"]
	if v := w.view("n1"); !v.Current || v.Applied == "" || v.Sent != v.Applied {
		t.Fatalf("a settled node is %+v", v)
	}
	before := w.view("n1").Applied

	w.services[1].Settings = map[string]string{"greeting": "other"}
	w.tell()
	w.step()
	if v := w.view("n1"); v.Current || v.Applied != "" || v.Sent == before || v.Sent == "" {
		t.Errorf("with a call under way it is %+v", v)
	}
	w.deliver(0, lucky)
	old := *m.applied
	w.core.reported("n1", m.session, func() *api.NodeStatus { s := m.status(); s.Applied = old.Revision; return s }())
	if v := w.view("n1"); v.Current {
		t.Error("with an accepted spec that is not applied it is said to be current")
	}
	w.report(m)
	if v := w.view("n1"); !v.Current || v.Applied != v.Sent || v.Applied == before {
		t.Errorf("after it has applied it is %+v", v)
	}
}

// The answer to a spec is lost and the spec is taken back: the agent has it all the same, and is told again.
func TestLostAnswerThenBack(t *testing.T) {
	w := served(t, 1)
	m := w.machines["n1"]
	good := w.view("n1").Applied
	w.services[1].Settings = map[string]string{"greeting": "other"}
	w.tell()
	w.step()
	w.deliver(0, lostAnswer)
	w.services[1].Settings = nil
	w.tell()
	w.now = w.now.Add(DefaultTiming().Retry)
	w.step()
	if len(w.calls) != 1 {
		t.Fatalf("%d calls, want the old spec again: nobody knows what the agent has", len(w.calls))
	}
	w.report(m) // it says that it has applied what nobody knows that it has accepted
	if v := w.view("n1"); v.Applied == good {
		t.Error("it is taken for what it was before")
	}
	w.deliver(0, lucky)
	w.quiet()
	if v := w.view("n1"); !v.Current || v.Applied != good || !w.last.state.Settled {
		t.Errorf("in the end it is %+v, settled %v", v, w.last.state.Settled)
	}
}

// The connection breaks while a spec is on its way: after it the agent is told again.
func TestDoubtOutlivesTheConnection(t *testing.T) {
	w := served(t, 1)
	m := w.machines["n1"]
	w.services[1].Settings = map[string]string{"greeting": "other"}
	w.tell()
	w.step()
	m.spec = w.calls[0].spec // the agent has accepted it, and the manager does not hear of that
	applied := m.applied
	w.connect(m)
	w.calls = nil
	m.spec = applied
	w.report(m)
	if w.view("n1").Current {
		t.Error("it is said to be current though it may be about to apply another spec")
	}
	w.services[1].Settings = nil
	w.tell()
	w.step()
	if len(w.calls) != 1 {
		t.Errorf("%d calls, want its spec again", len(w.calls))
	}
	w.quiet()
	if !w.last.state.Settled || !w.view("n1").Current {
		t.Error("it does not settle")
	}
}
