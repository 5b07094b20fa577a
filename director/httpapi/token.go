package httpapi

import (
	"context"
	"net/http"
	"strings"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// CallingToken is the token by which the caller is known.
type CallingToken struct {
	Authorization string `header:"Authorization" hidden:"true"`
}

func (t CallingToken) secret() api.Secret {
	return api.Secret(strings.TrimPrefix(t.Authorization, "Bearer "))
}

func (s *server) tokenRoutes() {
	const all = "/v1/users/{user}/tokens"
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: all, ID: "list-tokens", Summary: "The tokens of a user, those of logins too, without their text"},
		user(), func(ctx context.Context, in *struct {
			UserPath
			Page
		},
		) (*body[api.List[api.UserToken]], error) {
			return answer(s.director.Tokens(ctx, actor(ctx), in.User, in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: all, ID: "create-token", Summary: "Make a token for a program, with the token of a login", Status: http.StatusCreated},
		user(), func(ctx context.Context, in *struct {
			UserPath
			CallingToken
			Body api.TokenCreate
		},
		) (*body[api.TokenCreated], error) {
			return answer(s.director.CreateToken(ctx, actor(ctx), in.User, in.secret(), in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodDelete, Path: all + "/{token}", ID: "revoke-token", Summary: "End a token", Status: http.StatusNoContent},
		user(), func(ctx context.Context, in *struct {
			UserPath
			Token string `path:"token" doc:"Name or id"`
		},
		) (*struct{}, error) {
			return nil, s.director.RevokeToken(ctx, actor(ctx), in.User, in.Token)
		})
}
