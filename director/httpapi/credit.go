package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
)

// CreditQuery limits what is told of a user's credit.
type CreditQuery struct {
	UserPath
	Page
	Application string     `query:"application" doc:"Of this application only: name or id; one that is deleted by its id"`
	Node        api.NodeID `query:"node" doc:"Of this node only"`
}

func (q *CreditQuery) query() app.CreditQuery {
	return app.CreditQuery{Application: q.Application, Node: q.Node}
}

func (s *server) creditRoutes() {
	const one = "/v1/users/{user}/credit"
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/credits", ID: "list-credits", Summary: "What all users have and spend"},
		admin(), func(ctx context.Context, in *Page) (*body[api.List[api.Credit]], error) {
			return answer(s.director.Credits(ctx, in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one, ID: "show-credit", Summary: "What a user has and spends: oneself, or for an administrator anyone"},
		user(), func(ctx context.Context, in *UserPath) (*body[api.Credit], error) {
			return answer(s.director.Credit(ctx, actor(ctx), in.User))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: one, ID: "add-credit", Summary: "Add to a user's credits, or take some"},
		admin(), func(ctx context.Context, in *struct {
			UserPath
			Body api.CreditChange
		},
		) (*body[api.CreditChanged], error) {
			return answer(s.director.AddCredit(ctx, actor(ctx), in.User, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one + "/entries", ID: "list-credit-entries", Summary: "Every change of a user's credit, the oldest first; of a deleted user by its id"},
		user(), func(ctx context.Context, in *CreditQuery) (*body[api.List[api.CreditEntry]], error) {
			return answer(s.director.CreditEntries(ctx, actor(ctx), in.User, in.query(), in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one + "/nodes", ID: "list-credit-nodes", Summary: "What each node of a user has cost; of a deleted user by its id"},
		user(), func(ctx context.Context, in *CreditQuery) (*body[api.List[api.NodeCredit]], error) {
			return answer(s.director.NodeCredits(ctx, actor(ctx), in.User, in.query(), in.page()))
		})
}
