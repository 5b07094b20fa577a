package app

import (
	"testing"

	"conpaas/client/api"
)

// A machine that works is told nothing of another script; one where a script has failed gets the one in its place.
func TestScriptsReachThoseThatWaitForThem(t *testing.T) {
	w := served(t, 1)
	script := func(text api.Secret) *api.Startup {
		if text == "" {
			return nil
		}
		return &api.Startup{Script: text, Seconds: 1}
	}
	set := func(text api.Secret) {
		w.services[1].Startup = script(text)
		w.epoch.Revision++
		w.tell()
		w.puts = 0
		w.round()
	}
	set("false")
	if w.puts != 0 || !w.last.state.Settled {
		t.Fatalf("a machine that works was sent %d specs, settled %v", w.puts, w.last.state.Settled)
	}
	w.services[1].Nodes[api.HelloworldNode] = 2
	w.epoch.Revision++
	w.create(1, api.HelloworldNode)
	w.round()
	w.machines["n2"].failed = script("false").Sum()
	for range 3 {
		w.round()
	}
	if h := w.last.state.Nodes["n2"]; h.Ready || h.Reason != "the script has failed" || w.last.state.Settled {
		t.Errorf("a machine whose script has failed: %+v", h)
	}
	for _, text := range []api.Secret{"true", ""} {
		set(text)
		if got := w.machines["n2"].spec.Startup.Sum(); w.puts != 1 || got != script(text).Sum() {
			t.Errorf("with script %q in its place, %d specs were sent", text.Reveal(), w.puts)
		}
		w.puts = 0
		w.round()
		if w.puts != 0 {
			t.Errorf("it is sent again though it has it")
		}
	}
	w.machines["n2"].failed = ""
	w.quiet()
	if !w.last.state.Settled {
		t.Errorf("%+v", w.last.state.Nodes)
	}
}
