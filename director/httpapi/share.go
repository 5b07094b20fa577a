package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

func (s *server) shareRoutes() {
	const all = "/v1/applications/{application}/shares"
	const one = all + "/{user}"
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: all, ID: "list-shares", Summary: "With whom an application is shared"},
		own(), func(ctx context.Context, in *struct {
			ApplicationPath
			Page
		},
		) (*body[api.List[api.Share]], error) {
			return answer(s.director.Shares(ctx, actor(ctx), in.Application, in.page()))
		})
	s.api.Raw(wire.Route{Method: http.MethodPut, Path: one, ID: "share-application", Summary: "Share an application with another user, or change the level of its share (answer Share)", Body: api.ShareChange{}},
		own(), s.share)
	wire.Register(s.api, wire.Route{Method: http.MethodDelete, Path: one, ID: "unshare-application", Summary: "End a share: the owner any, others their own", Status: http.StatusNoContent},
		view(), func(ctx context.Context, in *struct {
			ApplicationPath
			UserPath
		},
		) (*struct{}, error) {
			return nil, s.director.UnshareApplication(ctx, actor(ctx), in.Application, in.User)
		})
}

// share needs the caller's address, for the limit on names that do not exist.
func (s *server) share(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	var in api.ShareChange
	if err := wire.Decode(r, &in); err != nil {
		return err
	}
	from, err := address(r)
	if err != nil {
		return err
	}
	share, err := s.director.ShareApplication(r.Context(), actor(r.Context()), path("application"), path("user"), in, from)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, share)
}
