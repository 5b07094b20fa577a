package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

type operationPath struct {
	Operation string `path:"operation" doc:"Id, for example op7"`
}

func (s *server) operationRoutes() {
	const one = "/v1/operations/{operation}"
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/operations", ID: "list-operations", Summary: "The user's operations, oldest first"},
		user(), func(ctx context.Context, in *struct {
			Page
			Application string `query:"application" doc:"Only of this application (name or id)"`
		},
		) (*body[api.List[api.Operation]], error) {
			return answer(s.director.Operations(ctx, actor(ctx), in.Application, in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one, ID: "show-operation", Summary: "One operation"},
		view(), func(ctx context.Context, in *operationPath) (*body[api.Operation], error) {
			return answer(s.director.Operation(ctx, actor(ctx), api.OperationID(in.Operation)))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: one + "/cancel", ID: "cancel-operation", Summary: "Cancel an operation: what it has not yet brought about is no longer wanted"},
		operate(), func(ctx context.Context, in *operationPath) (*body[api.Operation], error) {
			return answer(s.director.CancelOperation(ctx, actor(ctx), api.OperationID(in.Operation)))
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: one + "/watch", ID: "watch-operation", Summary: "The operation after each change, as server-sent events, until it has ended"},
		view(), func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
			id := api.OperationID(path("operation"))
			return sendEvents(w, s.director.WatchOperation(r.Context(), actor(r.Context()), id), func(api.Operation) string { return "" })
		})
}
