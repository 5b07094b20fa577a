package httpapi

import (
	"cmp"
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
)

// ServicePath names a service of an application.
type ServicePath struct {
	ApplicationPath
	Service string `path:"service" doc:"Name or id"`
}

func (s *server) serviceRoutes() {
	const all = "/v1/applications/{application}/services"
	const one = all + "/{service}"
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: all, ID: "list-services", Summary: "Services of an application"},
		view(), func(ctx context.Context, in *struct {
			ApplicationPath
			Page
		},
		) (*body[api.List[api.Service]], error) {
			return answer(s.director.Services(ctx, actor(ctx), in.Application, in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: all, ID: "add-service", Summary: "Add a service to an application", Status: http.StatusCreated},
		operate(), func(ctx context.Context, in *struct {
			ApplicationPath
			Body api.ServiceCreate
		},
		) (*body[api.Service], error) {
			return answer(s.director.AddService(ctx, actor(ctx), in.Application, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one, ID: "show-service", Summary: "One service"},
		view(), func(ctx context.Context, in *ServicePath) (*body[api.Service], error) {
			return answer(s.director.Service(ctx, actor(ctx), in.Application, in.Service))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPatch, Path: one, ID: "rename-service", Summary: "Rename a service"},
		operate(), func(ctx context.Context, in *struct {
			ServicePath
			Body api.Rename
		},
		) (*body[api.Service], error) {
			return answer(s.director.RenameService(ctx, actor(ctx), in.Application, in.Service, in.Body.Name))
		})
	type act = func(context.Context, app.Actor, string, string) (api.Operation, error)
	for _, r := range []struct {
		method, path, id, summary string
		rule                      wire.Rule
		act                       act
	}{
		{http.MethodPost, one + "/start", "start-service", "Start a service, and its application where needed", operate(), s.director.StartService},
		{http.MethodPost, one + "/stop", "stop-service", "Remove the machines of a service and keep the rest", operate(), s.director.StopService},
		{http.MethodDelete, one, "remove-service", "Remove a service with all that belongs to it", own(), s.director.RemoveService},
	} {
		wire.Register(s.api, wire.Route{Method: r.method, Path: r.path, ID: r.id, Summary: r.summary, Status: http.StatusAccepted},
			r.rule, func(ctx context.Context, in *ServicePath) (*body[api.Operation], error) {
				return answer(r.act(ctx, actor(ctx), in.Application, in.Service))
			})
	}
	type change = func(context.Context, app.Actor, string, string, api.NodesChange) (api.Operation, error)
	for _, r := range []struct {
		path, id, summary string
		change            change
	}{
		{"/add-nodes", "add-nodes", "Add machines to roles of a service", s.director.AddNodes},
		{"/remove-nodes", "remove-nodes", "Remove machines from roles of a service, the newest first", s.director.RemoveNodes},
	} {
		wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: one + r.path, ID: r.id, Summary: r.summary, Status: http.StatusAccepted},
			operate(), func(ctx context.Context, in *struct {
				ServicePath
				Body api.NodesChange
			},
			) (*body[api.Operation], error) {
				return answer(r.change(ctx, actor(ctx), in.Application, in.Service, in.Body))
			})
	}
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one + "/nodes", ID: "list-service-nodes", Summary: "Machines of a service"},
		view(), func(ctx context.Context, in *struct {
			ServicePath
			Page
		},
		) (*body[api.List[api.Node]], error) {
			return answer(s.director.ServiceNodes(ctx, actor(ctx), in.Application, in.Service, in.page()))
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: one + "/log", ID: "service-log", Summary: "Logs of a service as text, each line with its node", Query: []wire.Query{
		logQuery()[0], logQuery()[1], wire.QueryText("kind", "Which: agent, error or access; default agent"),
	}},
		view(), func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
			kind := cmp.Or(api.LogKind(r.URL.Query().Get("kind")), api.LogAgent)
			text, err := s.director.ServiceLog(r.Context(), actor(r.Context()), path("application"), path("service"), kind, logRange(r))
			if err != nil {
				return err
			}
			return copyText(w, text)
		})
}
