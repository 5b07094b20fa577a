package managertest

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// carried connects an agent as one whose connection the director carries.
func carried(ctx context.Context, d *Director, m *Manager, a *Agent, epoch api.Epoch) error {
	name := certs.NodeDNSName(Deployment, m.Application.String(), string(m.Node))
	return wire.Connect(ctx, wire.Connection{
		Client: mtls.ClientConfig(a.Store, nil, name), Address: "127.0.0.1:1", ServerName: name,
		Dial:  func(ctx context.Context) (net.Conn, error) { return d.Client(m.Node).Splice(ctx, epoch) },
		Hello: api.Hello{Node: a.Info.ID, BootID: a.bootID, Version: "test"}, Handler: a.handler, Log: a.d.log,
		OnUp: func() { a.edit(func() { a.seen.Sessions++ }) },
	})
}

// A connection that the director carries is like any other: the agent gets its spec, and nobody else comes in that way.
func TestCarriedConnections(t *testing.T) {
	d, m, agents, s := serving(t, 1)
	a := agents[0]
	a.Disconnect()
	m.AwaitKnown("the agent is away", func(k Known) bool { return !k.Nodes["n1"].Connected })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- carried(ctx, d, m, a, m.Epoch()) }()
	m.AwaitKnown("the agent is back and ready", func(k Known) bool { return k.Nodes["n1"].Connected && k.Nodes["n1"].Ready })
	id := certs.Identity{Deployment: Deployment, Role: certs.RoleAgent, User: "1", Application: "4", Node: "n1"}
	foreign := d.newAgent("n1", 1, 1, d.Store(id, time.Hour))
	if err := carried(t.Context(), d, m, foreign, m.Epoch()); api.CodeFrom(err) != api.CodeForbidden {
		t.Errorf("an agent of another application: %v, want %s", err, api.CodeForbidden)
	}
	old := m.Epoch()
	old.Fence--
	if err := carried(t.Context(), d, m, a, old); api.CodeFrom(err) != api.CodeStale {
		t.Errorf("a deposed director: %v, want %s", err, api.CodeStale)
	}
	s.Nodes[0].State = api.NodeDeleting
	m.Put(s)
	if err := <-ended; ctx.Err() != nil || err == nil {
		t.Errorf("the connection of a removed node ended with %v", err)
	}
	cancel()
	c := d.Client(m.Node)
	if conn, err := c.Splice(t.Context(), m.Epoch()); err != nil {
		t.Error(err)
	} else if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Error(err)
	} else {
		answer := make([]byte, 12)
		if _, err := conn.Read(answer); err != nil || string(answer) != "HTTP/1.1 400" {
			t.Errorf("without TLS: %q, %v, want status %d", answer, err, http.StatusBadRequest)
		}
		conn.Close()
	}
}
