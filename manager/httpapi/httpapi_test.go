package httpapi

import (
	"context"
	"log/slog"
	"testing"

	"conpaas/certs"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// Every route has its rule, and the rules let nobody else in.
func TestEveryRouteHasItsRule(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for _, r := range routes(nil, nil, nil, nil, log).Routes() {
		if r.Rule != "director" {
			t.Errorf("%s %s has the rule %q", r.Method, r.Path, r.Rule)
		}
	}
	self := certs.Identity{Deployment: "d", Role: certs.RoleManager, Application: "3", Node: "n1"}
	own := agentRoutes(nil, nil, self, api.Bootstrap{}, log).Routes()
	if len(own) != 1 || own[0].Path != "/v1/connect" || own[0].Rule != "agent of the application" {
		t.Errorf("agents are served %+v, want only the connection", own)
	}
	for _, kind := range []wire.Kind{wire.KindAnonymous, wire.KindUser, wire.KindAgent, wire.KindManager} {
		if err := director().Allow(context.Background(), wire.Caller{Kind: kind, Admin: true}, nil); api.CodeFrom(err) != api.CodeForbidden {
			t.Errorf("a caller of kind %q gets %v as director", kind, err)
		}
		if kind == wire.KindAgent {
			continue
		}
		if err := ownAgent(nil, self).Allow(context.Background(), wire.Caller{Kind: kind, Admin: true}, nil); api.CodeFrom(err) != api.CodeUnauthenticated {
			t.Errorf("a caller of kind %q gets %v as agent", kind, err)
		}
	}
	if err := director().Allow(context.Background(), wire.Caller{Kind: wire.KindDirector}, nil); err != nil {
		t.Errorf("the director gets %v", err)
	}
}

// The OpenAPI description can be made, so that every type has a schema.
func TestDescription(t *testing.T) {
	if _, err := routes(nil, nil, nil, nil, slog.New(slog.DiscardHandler)).OpenAPI(); err != nil {
		t.Error(err)
	}
}
