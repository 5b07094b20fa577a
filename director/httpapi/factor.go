package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
)

// factorRoutes need the caller's address, for the limits on failed tries.
func (s *server) factorRoutes() {
	const one = "/v1/users/{user}/totp"
	s.api.Raw(wire.Route{Method: http.MethodPost, Path: one, ID: "begin-totp", Summary: "Make a second factor for oneself, which counts when its first code has come (answer TOTPSecret)", Status: http.StatusCreated, Body: api.TOTPBegin{}},
		user(), tried(http.StatusCreated, s.director.BeginTOTP))
	s.api.Raw(wire.Route{Method: http.MethodPost, Path: one + "/confirm", ID: "confirm-totp", Summary: "Let the second factor count (answer RecoveryCodes)", Body: api.TOTPConfirm{}},
		user(), tried(http.StatusOK, s.director.ConfirmTOTP))
	s.api.Raw(wire.Route{Method: http.MethodPost, Path: one + "/end", ID: "end-totp", Summary: "Take the second factor away: one's own with password and code, for an administrator that of others", Status: http.StatusNoContent, Body: api.TOTPEnd{}},
		user(), tried(http.StatusNoContent, func(ctx context.Context, a app.Actor, ref string, in api.TOTPEnd, from string) (struct{}, error) {
			return struct{}{}, s.director.EndTOTP(ctx, a, ref, in, from)
		}))
}

// tried makes a handler of a use case that is given the address of the caller.
func tried[I, O any](status int, do func(ctx context.Context, a app.Actor, ref string, in I, from string) (O, error)) func(http.ResponseWriter, *http.Request, func(string) string) error {
	return func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
		var in I
		if err := wire.Decode(r, &in); err != nil {
			return err
		}
		from, err := address(r)
		if err != nil {
			return err
		}
		out, err := do(r.Context(), actor(r.Context()), path("user"), in, from)
		if err != nil {
			return err
		}
		if status == http.StatusNoContent {
			w.WriteHeader(status)
			return nil
		}
		return writeJSON(w, status, out)
	}
}
