package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"conpaas/certs"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/join"
	"conpaas/client/wire"
	"conpaas/manager/app"
)

// Agents gives what the agents of the application may call: nothing but the connection. self is the manager's own
// identity: agents must be of its deployment and application.
func Agents(w *app.Worker, store *mtls.Store, self certs.Identity, b api.Bootstrap, log *slog.Logger) http.Handler {
	return agentRoutes(w, store, self, b, log).Handler()
}

func agentRoutes(w *app.Worker, store *mtls.Store, self certs.Identity, b api.Bootstrap, log *slog.Logger) *wire.API {
	clock := join.Clock(b)
	a := wire.NewAPI(wire.Options{
		Title: "ConPaaS manager for its agents", Version: daemon.Version, Log: log,
		Authenticate: func(r *http.Request) (wire.Caller, error) {
			peer, err := mtls.Verify(r.TLS, store.Roots(), clock())
			if errors.Is(err, mtls.ErrNoCertificate) {
				return wire.Caller{}, nil
			}
			if err != nil {
				return wire.Caller{}, api.Errorf(api.CodeUnauthenticated, "%v", err)
			}
			return callerOf(peer, self), nil
		},
	})
	a.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/connect", ID: "connect", Summary: "Become a connection through which the manager calls"}, ownAgent(w, self),
		func(rw http.ResponseWriter, r *http.Request, _ func(string) string) error {
			return w.Accept(rw, r, api.NodeID(wire.CallerFrom(r.Context()).Identity.Node))
		})
	return a
}

// callerOf makes a caller of a peer whose certificate is good. Who is no agent of this deployment is nobody here.
func callerOf(p mtls.Peer, self certs.Identity) wire.Caller {
	if p.Identity.Role != certs.RoleAgent || p.Identity.Deployment != self.Deployment {
		return wire.Caller{Identity: p.Identity}
	}
	return wire.Caller{Kind: wire.KindAgent, Identity: p.Identity, Expired: p.Expired}
}

// ownAgent admits the agents of the manager's application that the director has told of.
func ownAgent(w *app.Worker, self certs.Identity) wire.Rule {
	return wire.Rule{Name: "agent of the application", Allow: func(ctx context.Context, c wire.Caller, _ func(string) string) error {
		switch {
		case c.Kind != wire.KindAgent:
			return api.Errorf(api.CodeUnauthenticated, "only the agents of application %s may connect here, with their certificates", self.Application)
		case c.Expired:
			return api.Errorf(api.CodeUnauthenticated, "the certificate of node %s has expired; renew it at the director", c.Identity.Node)
		case c.Identity.Application != self.Application:
			return api.Errorf(api.CodeForbidden, "node %s is of another application", c.Identity.Node)
		}
		return w.Admit(ctx, api.NodeID(c.Identity.Node))
	}}
}
