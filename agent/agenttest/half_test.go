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

// patient is a half whose role waits until it is told that it need not.
type patient struct {
	fragile
	done, closed chan struct{}
}

func (p patient) Apply(context.Context, *host.Host, service.Node, []api.RoleSpec) map[api.Role]error {
	select {
	case <-p.done:
		return nil
	default:
		return map[api.Role]error{api.HelloworldNode: &service.Waiting{For: "3 of 9 files are checked", Busy: true}}
	}
}

func (p patient) Close() { close(p.closed) }

// A role that waits stays what it is, says how far it is, and is applied as soon as it can be; a half's work in the
// background ends with the agent.
func TestRoleThatWaits(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	half := patient{done: make(chan struct{}), closed: make(chan struct{})}
	a := agenttest.Start(t, p, agenttest.Options{Node: "n2", Services: map[api.ServiceType]func() service.Half{
		api.Helloworld: func() service.Half { return half },
	}})
	p.AwaitConnected(t, "n2")
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), p.Spec(t, "n2", "Hello", port)); err != nil {
		t.Fatal(err)
	}
	p.AwaitStatus(t, "n2", "it waits and is ready", func(s api.NodeStatus) bool {
		return s.Applied == 0 && strings.Contains(s.Error, "3 of 9 files") && len(s.Roles) == 1 &&
			s.Roles[0].State == api.RoleReady && strings.Contains(s.Roles[0].Reason, "3 of 9 files")
	})
	close(half.done)
	p.AwaitReady(t, "n2", 1)
	a.Stop(t)
	<-half.closed
}
