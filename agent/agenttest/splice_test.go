package agenttest_test

import (
	"testing"

	"conpaas/agent/agenttest"
	"conpaas/client/api"
	"conpaas/vpn/wgtest"
)

// An agent that does not reach its manager has the director carry the connection: it gets its spec and reports. It goes
// back to the manager's own address when that works, and back to the director when it does not any more.
func TestTheDirectorCarriesTheConnection(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	p.Shut(true)
	agenttest.Start(t, p, agenttest.Options{Node: "n2"})
	p.AwaitConnected(t, "n2")
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), p.Spec(t, "n2", "hello", port)); err != nil {
		t.Fatal(err)
	}
	p.AwaitReady(t, "n2", 1)
	if n := p.Direct(); n != 0 {
		t.Fatalf("%d connections came by the address that is shut", n)
	}
	p.Shut(false)
	wgtest.Eventually(t, "the agent is back at the manager's own address", func() bool { return p.Direct() > 0 })
	p.AwaitStatus(t, "n2", "it reports there", func(s api.NodeStatus) bool { return s.Node == "n2" })
	lookups := p.Lookups()
	p.Shut(true)
	p.StopManager()
	p.RestartManager(t)
	p.AwaitConnected(t, "n2")
	if p.Lookups() == lookups {
		t.Error("the agent did not ask for its parent before the director carried the connection")
	}
	if n := p.Direct(); n != 1 {
		t.Errorf("%d connections came by the manager's own address, want the one from before it was shut", n)
	}
}
