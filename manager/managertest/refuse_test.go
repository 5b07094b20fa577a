package managertest

import (
	"context"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// Only agents of the application that the director has told of may connect.
func TestWhoMayConnect(t *testing.T) {
	d, m, agents, _ := serving(t, 1)
	id := func(change func(*certs.Identity)) certs.Identity {
		i := certs.Identity{Deployment: Deployment, Role: certs.RoleAgent, User: "1", Application: Application.String(), Node: "n1"}
		change(&i)
		return i
	}
	other := NewDirector(t)
	foreign := other.Store(id(func(*certs.Identity) {}), time.Hour)
	for name, test := range map[string]struct {
		store *mtls.Store
		want  api.Code
	}{
		"agent of another application": {d.Store(id(func(i *certs.Identity) { i.Application = "4" }), time.Hour), api.CodeForbidden},
		"agent of another deployment":  {d.Store(id(func(i *certs.Identity) { i.Deployment = "other" }), time.Hour), api.CodeUnauthenticated},
		"agent that nobody knows":      {d.Store(id(func(i *certs.Identity) { i.Node = "n77" }), time.Hour), api.CodeForbidden},
		"manager":                      {d.Store(id(func(i *certs.Identity) { i.Role = certs.RoleManager }), time.Hour), api.CodeUnauthenticated},
		"user":                         {d.Store(certs.Identity{Deployment: Deployment, Role: certs.RoleUser, User: "1"}, time.Hour), api.CodeUnauthenticated},
		"expired agent":                {d.Store(id(func(*certs.Identity) {}), -time.Minute), api.CodeUnauthenticated},
		"no certificate":               {nil, api.CodeUnauthenticated},
	} {
		a := d.newAgent("n1", 1, 1, test.store)
		if err := dial(t, a, m, d.Store(id(func(*certs.Identity) {}), time.Hour).Roots); api.CodeFrom(err) != test.want {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	a := d.newAgent("n1", 1, 1, foreign)
	if err := dial(t, a, m, agents[0].Store.Roots); api.CodeFrom(err) != api.CodeUnauthenticated {
		t.Errorf("agent of another authority: %v, want %s", err, api.CodeUnauthenticated)
	}
	if seen, _ := agents[0].Look(); seen.Sessions != 1 {
		t.Errorf("the true agent has lost its connection")
	}
	m.AwaitSettled(1)
}

// dial makes one connection with whatever certificate the agent has, which is expected to be refused.
func dial(t *testing.T, a *Agent, m *Manager, roots func() *x509.CertPool) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	name := certs.NodeDNSName(Deployment, m.Application.String(), string(m.Node))
	return wire.Connect(ctx, wire.Connection{
		Client: mtls.ClientConfig(a.Store, roots, name), Address: m.Listen.String(), ServerName: name,
		Hello: api.Hello{Node: a.Info.ID, BootID: a.bootID}, Handler: http.NotFoundHandler(), Log: a.d.log,
	})
}

// Without TLS, and beside the one route, there is nothing.
func TestNothingElseIsServedToAgents(t *testing.T) {
	_, m, agents, _ := serving(t, 1)
	name := certs.NodeDNSName(Deployment, m.Application.String(), string(m.Node))
	transport := wire.NewTransport(mtls.ClientConfig(agents[0].Store, nil, name), m.Listen.String())
	defer transport.CloseIdleConnections()
	c := &wire.Client{HTTP: &http.Client{Transport: transport}, Base: "https://" + name}
	for _, path := range []string{"/v1/application", "/v1/stream", "/v1/nodes/n1/exec", "/v1/log", "/"} {
		if _, err := wire.Call[struct{}](t.Context(), c, http.MethodGet, path, nil, wire.WithEpoch(m.Epoch())); api.CodeFrom(err) != api.CodeNotFound {
			t.Errorf("an agent gets %v for %s, want %s", err, path, api.CodeNotFound)
		}
	}
	if _, err := wire.Call[struct{}](t.Context(), c, http.MethodGet, "/v1/connect", nil); api.CodeFrom(err) != api.CodeInvalid {
		t.Errorf("a request that is no upgrade gets %v", err)
	}
}

// A machine that the director takes away is cut off, and does not come back.
func TestRemovedNodeIsCut(t *testing.T) {
	for name, change := range map[string]func(s *api.ManagerSpec){
		"gone":     func(s *api.ManagerSpec) { s.Nodes = s.Nodes[:1] },
		"deleting": func(s *api.ManagerSpec) { s.Nodes[1].State = api.NodeDeleting },
		"failed":   func(s *api.ManagerSpec) { s.Nodes[1].State = api.NodeFailed },
	} {
		t.Run(name, func(t *testing.T) {
			d, m, agents, s := serving(t, 2)
			change(&s)
			m.Put(s)
			d.Await("its connection is cut and refused", func() bool {
				seen, _ := agents[1].Look()
				return len(seen.Errors) > 1 && api.CodeFrom(seen.Errors[len(seen.Errors)-1]) == api.CodeForbidden
			})
			d.Await("the other forgets it", func() bool { _, has := agents[0].Look(); return len(has.Overlay.Peers) == 0 })
			if seen, _ := agents[0].Look(); len(seen.Specs) != 1 || len(seen.Deltas) != 1 || len(seen.Deltas[0].Remove) != 1 {
				t.Errorf("the other was sent %+v", seen)
			}
		})
	}
}

// Of two connections of one agent the newest counts; two machines that take turns as one node are kept out.
func TestDuplicates(t *testing.T) {
	d, m, agents, _ := serving(t, 1)
	a := agents[0]
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Dial(ctx, m) }()
	d.Await("the first connection is replaced", func() bool { seen, _ := a.Look(); return len(seen.Errors) > 0 })
	cancel()
	<-ended
	m.AwaitKnown("the agent is connected", func(k Known) bool { return k.Nodes["n1"].Ready })

	a.Disconnect()
	first := a.bootID
	for range 2 { // the copy, and the first again
		a.Reboot()
		ctx, cancel := context.WithCancel(t.Context())
		before, _ := a.Look()
		go func() { ended <- a.Dial(ctx, m) }()
		d.Await("a connection or a refusal", func() bool { seen, _ := a.Look(); return seen.Sessions > before.Sessions || len(ended) > 0 })
		cancel()
		<-ended
		a.bootID = first
		if err := a.Dial(t.Context(), m); api.CodeFrom(err) != api.CodeConflict {
			t.Fatalf("the first machine after its copy gets %v, want %s", err, api.CodeConflict)
		}
	}
	k := m.AwaitKnown("the alarm", func(k Known) bool { return len(k.Events) > 0 })
	if e := k.Events[0]; !e.Alarm || e.Kind != "node.cloned" || e.Node != "n1" || e.Application != Application {
		t.Errorf("the director is told %+v", e)
	}
}
