package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// CloudPath names a cloud.
type CloudPath struct {
	Cloud string `path:"cloud" doc:"Name"`
}

func (s *server) cloudRoutes() {
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/service-types", ID: "list-service-types", Summary: "Service types that can be added"},
		user(), func(_ context.Context, in *Page) (*body[api.List[api.ServiceKind]], error) {
			return answer(s.director.ServiceKinds(in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/clouds", ID: "list-clouds", Summary: "Configured clouds"},
		user(), func(ctx context.Context, in *Page) (*body[api.List[api.Cloud]], error) {
			return answer(s.director.Clouds(ctx, actor(ctx), in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/clouds/{cloud}", ID: "show-cloud", Summary: "One cloud"},
		user(), func(ctx context.Context, in *CloudPath) (*body[api.Cloud], error) {
			return answer(s.director.Cloud(ctx, actor(ctx), in.Cloud))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: "/v1/clouds/{cloud}/check", ID: "check-cloud", Summary: "Check that a cloud can be used"},
		admin(), func(ctx context.Context, in *CloudPath) (*body[api.List[api.Check]], error) {
			checks, err := s.director.CheckCloud(ctx, in.Cloud)
			return answer(api.List[api.Check]{Items: checks}, err)
		})
}
