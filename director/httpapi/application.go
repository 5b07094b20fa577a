package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
)

// ApplicationPath names an application. The types that inputs embed are exported because huma fills only those.
type ApplicationPath struct {
	Application string `path:"application" doc:"Name or id"`
}

func (s *server) applicationRoutes() {
	const one = "/v1/applications/{application}"
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/applications", ID: "list-applications", Summary: "The user's applications"},
		user(), func(ctx context.Context, in *Page) (*body[api.List[api.Application]], error) {
			return answer(s.director.Applications(ctx, actor(ctx), in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: "/v1/applications", ID: "create-application", Summary: "Create an application", Status: http.StatusCreated},
		user(), func(ctx context.Context, in *body[api.ApplicationCreate]) (*body[api.Application], error) {
			return answer(s.director.CreateApplication(ctx, actor(ctx), in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one, ID: "show-application", Summary: "One application"},
		view(), func(ctx context.Context, in *ApplicationPath) (*body[api.Application], error) {
			return answer(s.director.Application(ctx, actor(ctx), in.Application))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPatch, Path: one, ID: "rename-application", Summary: "Rename an application"},
		own(), func(ctx context.Context, in *struct {
			ApplicationPath
			Body api.Rename
		},
		) (*body[api.Application], error) {
			return answer(s.director.RenameApplication(ctx, actor(ctx), in.Application, in.Body.Name))
		})
	type act = func(context.Context, app.Actor, string) (api.Operation, error)
	for _, r := range []struct {
		method, path, id, summary string
		rule                      wire.Rule
		act                       act
	}{
		{http.MethodPost, one + "/start", "start-application", "Start an application: its manager, then what was running before", operate(), s.director.StartApplication},
		{http.MethodPost, one + "/stop", "stop-application", "Remove all machines of an application and keep the rest", operate(), s.director.StopApplication},
		{http.MethodDelete, one, "delete-application", "Delete an application with all that belongs to it", own(), s.director.DeleteApplication},
	} {
		wire.Register(s.api, wire.Route{Method: r.method, Path: r.path, ID: r.id, Summary: r.summary, Status: http.StatusAccepted},
			r.rule, func(ctx context.Context, in *ApplicationPath) (*body[api.Operation], error) {
				return answer(r.act(ctx, actor(ctx), in.Application))
			})
	}
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one + "/network", ID: "show-network", Summary: "The overlay network: path, latency and last handshake of each pair"},
		view(), func(ctx context.Context, in *ApplicationPath) (*body[api.ApplicationNetwork], error) {
			return answer(s.director.Network(ctx, actor(ctx), in.Application))
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: one + "/events", ID: "list-events", Summary: "History, oldest first; with follow as server-sent events", Query: []wire.Query{
		wire.QueryText("after", "Next of the page before, or the id of an event"), wire.QueryNumber("limit", 1, maxPage, "At most so many items; default 100"),
		wire.QueryFlag("follow", "Go on with the events that come"),
	}},
		view(), s.events)
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: one + "/log", ID: "application-log", Summary: "Log of the manager as text", Query: logQuery()},
		view(), func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
			text, err := s.director.ApplicationLog(r.Context(), actor(r.Context()), path("application"), logRange(r))
			if err != nil {
				return err
			}
			return copyText(w, text)
		})
}

func (s *server) events(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	ctx, after := r.Context(), r.URL.Query().Get("after")
	if !wire.Flag(r, "follow") {
		list, err := s.director.Events(ctx, actor(ctx), path("application"), app.Page{After: after, Limit: wire.Number(r, "limit", 0)})
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, list)
	}
	if after == "" {
		after = r.Header.Get("Last-Event-Id")
	}
	return sendEvents(w, s.director.FollowEvents(ctx, actor(ctx), path("application"), after), func(e api.Event) string { return app.EventCursor(e) })
}
