package httpapi

import (
	"context"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// The access rules. Ownership is checked by the use cases, which answer not_found for what belongs to others.

// public is open to everyone.
func public() wire.Rule {
	return wire.Rule{Name: "public", Allow: func(context.Context, wire.Caller, func(string) string) error { return nil }}
}

// user is open to every user; the use case limits it to what the user may see.
func user() wire.Rule { return kinds("user", wire.KindUser) }

// The rules of routes that name an application, or what belongs to one, say whom its use case lets in. The use case decides
// it; TestSharesSeeWhatTheRouteSays holds both together.

// own is open to the application's owner alone.
func own() wire.Rule { return kinds("own", wire.KindUser) }

// operate is open to the owner and to shares at level operate.
func operate() wire.Rule { return kinds("operate", wire.KindUser) }

// view is open to the owner and to all shares.
func view() wire.Rule { return kinds("view", wire.KindUser) }

// admin is open to administrators: it costs what all pay for, or shows what is of the installation.
func admin() wire.Rule {
	users := user()
	return wire.Rule{Name: "admin", Allow: func(ctx context.Context, c wire.Caller, path func(string) string) error {
		if err := users.Allow(ctx, c, path); err != nil {
			return err
		}
		if !c.Admin {
			return api.Errorf(api.CodeForbidden, "only an administrator may do this")
		}
		return nil
	}}
}

// managerNode is open to managers with a valid certificate.
func managerNode() wire.Rule { return kinds("manager", wire.KindManager) }

// agentNode is open to agents with a valid certificate.
func agentNode() wire.Rule { return kinds("agent", wire.KindAgent) }

// relayMachine is open to the relays of VPN_BOOTSTRAP_NODES.
func relayMachine() wire.Rule { return kinds("relay", wire.KindRelay) }

// renewal is open to nodes, also with a certificate that has expired lately, and to users who call by a certificate.
func renewal() wire.Rule {
	return wire.Rule{Name: "renewal", Allow: func(_ context.Context, c wire.Caller, _ func(string) string) error {
		if c.Kind == wire.KindManager || c.Kind == wire.KindAgent || c.Serial != "" {
			return nil
		}
		return refuse(c)
	}}
}

func kinds(name string, kind wire.Kind) wire.Rule {
	return wire.Rule{Name: name, Allow: func(_ context.Context, c wire.Caller, _ func(string) string) error {
		if c.Expired {
			return api.Errorf(api.CodeUnauthenticated, "the certificate has expired; it opens only POST /v1/renew")
		}
		if c.Kind == kind {
			return nil
		}
		return refuse(c)
	}}
}

func refuse(c wire.Caller) error {
	if c.Kind == wire.KindAnonymous {
		return api.Errorf(api.CodeUnauthenticated, "log in first: cps login")
	}
	return api.Errorf(api.CodeForbidden, "not open to %s", c)
}
