package agenttest_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"conpaas/agent/agenttest"
	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/client/api"
)

// fragile is a half that a certain configuration makes panic.
type fragile struct{}

func bad(roles []api.RoleSpec) bool {
	return len(roles) == 1 && bytes.Contains(roles[0].Config, []byte("bad"))
}

func (fragile) Apply(_ context.Context, _ *host.Host, _ service.Node, roles []api.RoleSpec) map[api.Role]error {
	if bad(roles) {
		panic("bad configuration")
	}
	return nil
}

func (fragile) Status(_ context.Context, _ *host.Host, _ service.Node, roles []api.RoleSpec) []api.RoleStatus {
	if bad(roles) {
		panic("bad configuration")
	}
	return []api.RoleStatus{{Role: api.HelloworldNode, State: api.RoleReady}}
}

func (fragile) Stop(context.Context, *host.Host) error { return nil }

// A configuration that makes a half panic is reported; it ends neither this agent nor the next one, which finds it on
// its disk, and the next spec mends it.
func TestPanicOfAHalf(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	options := agenttest.Options{Node: "n2", Services: map[api.ServiceType]func() service.Half{
		api.Helloworld: func() service.Half { return fragile{} },
	}}
	a := agenttest.Start(t, p, options)
	options.Root = a.Root
	p.AwaitConnected(t, "n2")
	spec := p.Spec(t, "n2", "bad", port)
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); err != nil {
		t.Fatal(err)
	}
	reported := func(s api.NodeStatus) bool {
		return strings.Contains(s.Error, "a fault of the agent: bad configuration") && len(s.Roles) == 1 && s.Roles[0].State == api.RoleFailed
	}
	p.AwaitStatus(t, "n2", "the panic is reported", reported)
	a.Stop(t)
	agenttest.Start(t, p, options)
	p.AwaitStatus(t, "n2", "the panic is reported by the next agent", reported)
	spec = p.Spec(t, "n2", "good", port)
	spec.Revision = 2
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); err != nil {
		t.Fatal(err)
	}
	p.AwaitReady(t, "n2", 2)
}
