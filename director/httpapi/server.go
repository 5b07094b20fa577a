// Package httpapi is the director's port: one route table with the access rule of each route, and a thin
// handler per route that calls a use case of director/app.
//
// It knows HTTP and the access rules; it must not know the database or the clouds.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/wire"
	"conpaas/director/app"
)

// server has what the handlers need.
type server struct {
	director *app.Director
	api      *wire.API
	metrics  *wire.Metrics
}

// New gives the API of a director.
func New(d *app.Director, log *slog.Logger) *wire.API {
	s := &server{director: d, metrics: wire.NewMetrics(daemon.Version)}
	s.metrics.Add(d.Figures, app.Families()...)
	s.api = wire.NewAPI(wire.Options{
		Title: "ConPaaS director", Version: daemon.Version, Log: log, Authenticate: s.authenticate, Metrics: s.metrics,
		Follow: d.Audited,
		Header: func(h http.Header) { h.Set(api.HeaderCA, d.CABundle().Name) },
	})
	s.accountRoutes()
	s.userRoutes()
	s.tokenRoutes()
	s.certificateRoutes()
	s.factorRoutes()
	s.creditRoutes()
	s.caRoutes()
	s.cloudRoutes()
	s.imageRoutes()
	s.volumeRoutes()
	s.actionRoutes()
	s.applicationRoutes()
	s.environmentRoutes()
	s.serviceRoutes()
	s.codeRoutes()
	s.nodeRoutes()
	s.operationRoutes()
	s.bootstrapRoutes()
	s.relayRoutes()
	s.metricsRoutes()
	s.shareRoutes()
	s.auditRoutes()
	return s.api
}

// authenticate finds out who calls: a node or a user by its certificate, a relay by its proof, a user by its token.
func (s *server) authenticate(r *http.Request) (wire.Caller, error) {
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return s.director.CertificateCaller(r.Context(), r.TLS)
	}
	if relay, ok := strings.CutPrefix(r.Header.Get("Authorization"), api.RelayScheme); ok {
		key, proof, _ := strings.Cut(relay, " ")
		if err := s.director.KnowsRelay(api.OverlayKey(key), proof); err != nil {
			return wire.Caller{}, err
		}
		return wire.Caller{Kind: wire.KindRelay}, nil
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return wire.Caller{}, nil
	}
	actor, err := s.director.Authenticate(r.Context(), api.Secret(token))
	if err != nil {
		return wire.Caller{}, err
	}
	return wire.Caller{Kind: wire.KindUser, User: actor.ID, UserName: actor.Name, Admin: actor.Admin, TokenHash: actor.TokenHash, Credential: actor.Credential}, nil
}

// actor is the user that calls.
func actor(ctx context.Context) app.Actor {
	c := wire.CallerFrom(ctx)
	return app.Actor{ID: c.User, Name: c.UserName, Admin: c.Admin, TokenHash: c.TokenHash, Serial: c.Serial}
}

// body is an answer with a JSON body.
type body[T any] struct{ Body T }

func answer[T any](v T, err error) (*body[T], error) {
	if err != nil {
		return nil, err
	}
	return &body[T]{Body: v}, nil
}

// Page is the query of a list.
type Page struct {
	After string `query:"after" doc:"Next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" doc:"At most so many items; default 100"`
}

func (p Page) page() app.Page { return app.Page{After: p.After, Limit: p.Limit} }
