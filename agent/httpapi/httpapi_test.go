package httpapi

import (
	"log/slog"
	"testing"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Every route is the manager's alone.
func TestRoutesAreTheManagers(t *testing.T) {
	list := routes(nil, slog.New(slog.DiscardHandler)).Routes()
	if len(list) != 12 {
		t.Errorf("there are %d routes; want the 12 of the contract", len(list))
	}
	for _, r := range list {
		if r.Rule != "manager" {
			t.Errorf("%s %s has the rule %q", r.Method, r.Path, r.Rule)
		}
	}
	for _, kind := range []wire.Kind{wire.KindAnonymous, wire.KindUser, wire.KindAgent, wire.KindDirector} {
		if err := manager().Allow(t.Context(), wire.Caller{Kind: kind}, nil); api.CodeFrom(err) != api.CodeForbidden {
			t.Errorf("a caller of kind %q: %v", kind, err)
		}
	}
	if err := manager().Allow(t.Context(), wire.Caller{Kind: wire.KindManager}, nil); err != nil {
		t.Error(err)
	}
}
