package app

import (
	"fmt"
	"testing"

	"conpaas/client/api"
)

// nameList gives what a machine resolves, as text.
func nameList(m *machine) string {
	out := ""
	for _, n := range m.applied.Names {
		out += fmt.Sprintln(n.Name, n.Addresses)
	}
	return out
}

func TestNamesReachEveryMachine(t *testing.T) {
	w := newWorld()
	w.services[1], w.services[2] = helloworldSpec(1, 2), helloworldSpec(2, 1)
	w.services[1].Name, w.services[2].Name = "Front", "my page"
	w.quiet()
	want := "front.a.internal [10.1.0.1 10.1.0.2]\nmy-page.a.internal [10.2.0.3]\n"
	for id, m := range w.machines {
		if nameList(m) != want {
			t.Errorf("%s resolves:\n%s; want:\n%s", id, nameList(m), want)
		}
		m.info.State = api.NodeReady
	}
	w.tell()
	w.step()
	// A machine that falls silent is in no name any more, and no machine is told another configuration for that.
	w.puts = 0
	w.drop(w.machines["n1"])
	w.machines["n1"].dead = true
	w.now = w.now.Add(DefaultTiming().Brief)
	w.step()
	for len(w.calls) > 0 {
		w.deliver(0, lucky)
	}
	w.report(w.machines["n3"])
	if got := nameList(w.machines["n3"]); got != "front.a.internal [10.1.0.2]\nmy-page.a.internal [10.2.0.3]\n" || w.puts != 0 {
		t.Errorf("with n1 silent n3 resolves, after %d specs:\n%s", w.puts, got)
	}
}

func TestNodeThatMissedNamesGetsThem(t *testing.T) {
	w := served(t, 1)
	w.services[2] = helloworldSpec(2, 1)
	w.services[2].Name = "other"
	w.epoch.Revision++
	w.quiet()
	m := w.machines["n1"]
	before := nameList(m)
	// An agent that has lost what it was told, for example with its machine's power, says so by its fingerprint.
	old := *m.spec
	old.Names = nil
	m.spec, m.applied = &old, &old
	for _, m := range w.machines {
		m.info.State = api.NodeReady
	}
	w.newManager()
	w.quiet()
	if got := nameList(m); got != before || before == "" {
		t.Errorf("it resolves:\n%s; want:\n%s", got, before)
	}
}

// An agent of a version without names keeps nothing from being settled.
func TestAgentWithoutNames(t *testing.T) {
	w := served(t, 1)
	w.machines["n1"].nameless = true
	w.services[1].Nodes[api.HelloworldNode] = 2
	w.quiet()
	if !w.last.state.Settled {
		t.Errorf("it is not settled: %+v", w.last.state.Nodes)
	}
}
