package httpapi

import (
	"context"
	"net"
	"net/http"
	"strings"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/wire"
)

func (s *server) accountRoutes() {
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/version", ID: "version", Summary: "Version of the director"},
		public(), func(context.Context, *struct{}) (*body[api.Version], error) {
			return answer(api.Version{Version: daemon.Version, Protocol: api.Protocol}, nil)
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/users/me", ID: "whoami", Summary: "The user that calls"},
		user(), func(ctx context.Context, _ *struct{}) (*body[api.User], error) {
			return answer(s.director.User(ctx, actor(ctx), "me"))
		})
	s.api.Raw(wire.Route{Method: http.MethodPost, Path: "/v1/login", ID: "login", Summary: "Exchange a password for a token (answer Token)", Body: api.Login{}},
		public(), s.login)
	s.api.Raw(wire.Route{Method: http.MethodPost, Path: "/v1/register", ID: "register", Summary: "Make an account for oneself, where the installation allows it (answer User)", Status: http.StatusCreated, Body: api.UserCreate{}},
		public(), s.register)
	s.api.Raw(wire.Route{Method: http.MethodPost, Path: "/v1/logout", ID: "logout", Summary: "End the token that calls"},
		user(), func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if err := s.director.Logout(r.Context(), actor(r.Context()), api.Secret(token)); err != nil {
				return err
			}
			w.WriteHeader(http.StatusNoContent)
			return nil
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: "/openapi.json", ID: "openapi", Summary: "This API as an OpenAPI document"},
		public(), func(w http.ResponseWriter, _ *http.Request, _ func(string) string) error {
			document, err := s.api.OpenAPI()
			if err != nil {
				return err
			}
			w.Header().Set("Content-Type", "application/json")
			_, err = w.Write(document)
			return err
		})
}

// login needs the caller's address, for the limits on failed tries.
func (s *server) login(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	var in api.Login
	if err := wire.Decode(r, &in); err != nil {
		return err
	}
	from, err := address(r)
	if err != nil {
		return err
	}
	token, err := s.director.Login(r.Context(), in, from)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, token)
}

// register needs the caller's address, for the limit on registrations.
func (s *server) register(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	var in api.UserCreate
	if err := wire.Decode(r, &in); err != nil {
		return err
	}
	from, err := address(r)
	if err != nil {
		return err
	}
	u, err := s.director.Register(r.Context(), in, from)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, u)
}

// address is the IP address of the caller.
func address(r *http.Request) (string, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return host, err
}
