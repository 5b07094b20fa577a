package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// UserPath names a user.
type UserPath struct {
	User string `path:"user" doc:"Name or id; me is the one who calls"`
}

func (s *server) userRoutes() {
	const one = "/v1/users/{user}"
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/users", ID: "list-users", Summary: "All users"},
		admin(), func(ctx context.Context, in *Page) (*body[api.List[api.User]], error) {
			return answer(s.director.Users(ctx, in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: "/v1/users", ID: "create-user", Summary: "Create a user", Status: http.StatusCreated},
		admin(), func(ctx context.Context, in *body[api.UserCreate]) (*body[api.User], error) {
			return answer(s.director.CreateUser(ctx, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one, ID: "show-user", Summary: "One user: oneself, or for an administrator anyone"},
		user(), func(ctx context.Context, in *UserPath) (*body[api.User], error) {
			return answer(s.director.User(ctx, actor(ctx), in.User))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPatch, Path: one, ID: "change-user", Summary: "Change the profile of a user; for an administrator also its role, and whether it is disabled"},
		user(), func(ctx context.Context, in *struct {
			UserPath
			Body api.UserChange
		},
		) (*body[api.User], error) {
			return answer(s.director.ChangeUser(ctx, actor(ctx), in.User, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodDelete, Path: one, ID: "delete-user", Summary: "Delete a user; one who has applications only with them, and after them", Status: http.StatusNoContent},
		admin(), func(ctx context.Context, in *struct {
			UserPath
			Applications bool `query:"with_applications" doc:"Close the account now, delete its applications, and it with the last of them"`
		},
		) (*struct{}, error) {
			return nil, s.director.DeleteUser(ctx, actor(ctx), in.User, in.Applications)
		})
	s.api.Raw(wire.Route{Method: http.MethodPost, Path: one + "/password", ID: "change-password", Summary: "Give a user another password and end its tokens and certificates", Status: http.StatusNoContent, Body: api.PasswordChange{}},
		user(), s.changePassword)
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: one + "/export", ID: "export-user", Summary: "What is known of a user, without secrets (answer UserExport)"},
		user(), s.exportUser)
}

// changePassword needs the caller's address, for the limits on failed tries.
func (s *server) changePassword(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	var in api.PasswordChange
	if err := wire.Decode(r, &in); err != nil {
		return err
	}
	from, err := address(r)
	if err != nil {
		return err
	}
	if err := s.director.ChangePassword(r.Context(), actor(r.Context()), path("user"), in, from); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
