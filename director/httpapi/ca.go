package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

func (s *server) caRoutes() {
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/ca", ID: "ca-bundle", Summary: "The CA certificates to trust"},
		public(), func(context.Context, *struct{}) (*body[api.CABundle], error) {
			return answer(s.director.CABundle(), nil)
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/ca/authorities", ID: "show-ca", Summary: "The certificate authorities and how far a rotation has come"},
		admin(), func(ctx context.Context, _ *struct{}) (*body[api.CAState], error) {
			return answer(s.director.Authorities(ctx))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: "/v1/ca/rotate", ID: "rotate-ca", Summary: "Make a new certificate authority, which takes the place of the present one step by step"},
		admin(), func(ctx context.Context, _ *struct{}) (*body[api.CAState], error) {
			return answer(s.director.RotateCA(ctx, actor(ctx)))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: "/v1/ca/retire", ID: "retire-ca", Summary: "Trust only the new certificate authority from now on"},
		admin(), func(ctx context.Context, in *body[api.CARetire]) (*body[api.CAState], error) {
			return answer(s.director.RetireCA(ctx, actor(ctx), in.Body))
		})
}
