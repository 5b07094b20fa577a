package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// environmentRoutes are for what the programs of a service are given: variables, secrets, links and the start-up script.
func (s *server) environmentRoutes() {
	const one = "/v1/applications/{application}/services/{service}"
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one + "/environment", ID: "show-environment", Summary: "Environment variables of the programs of a service, secrets masked"},
		view(), func(ctx context.Context, in *ServicePath) (*body[api.Environment], error) {
			return answer(s.director.Environment(ctx, actor(ctx), in.Application, in.Service))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPut, Path: one + "/environment", ID: "change-environment", Summary: "Change variables, secrets and links of a service", Status: http.StatusAccepted},
		operate(), func(ctx context.Context, in *struct {
			ServicePath
			Body api.EnvironmentChange
		},
		) (*body[api.Operation], error) {
			return answer(s.director.ChangeEnvironment(ctx, actor(ctx), in.Application, in.Service, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one + "/script", ID: "show-script", Summary: "The start-up script of a service"},
		operate(), func(ctx context.Context, in *ServicePath) (*body[api.Script], error) {
			return answer(s.director.Script(ctx, actor(ctx), in.Application, in.Service))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPut, Path: one + "/script", ID: "set-script", Summary: "Give a service a start-up script, which runs on machines that are made later"},
		operate(), func(ctx context.Context, in *struct {
			ServicePath
			Body api.ScriptChange
		},
		) (*body[api.Script], error) {
			return answer(s.director.SetScript(ctx, actor(ctx), in.Application, in.Service, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodDelete, Path: one + "/script", ID: "remove-script", Summary: "Take the start-up script of a service away", Status: http.StatusNoContent},
		operate(), func(ctx context.Context, in *ServicePath) (*struct{}, error) {
			return nil, s.director.RemoveScript(ctx, actor(ctx), in.Application, in.Service)
		})
}
