package httpapi

import (
	"context"
	"net/http"
	"time"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
)

func (s *server) certificateRoutes() {
	const all = "/v1/users/{user}/certificates"
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: all, ID: "list-user-certificates", Summary: "The certificates of a user that open something"},
		user(), func(ctx context.Context, in *struct {
			UserPath
			Page
		},
		) (*body[api.List[api.UserCertificate]], error) {
			return answer(s.director.UserCertificates(ctx, actor(ctx), in.User, in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: all, ID: "create-certificate", Summary: "Get a certificate, with the token of a login", Status: http.StatusCreated},
		user(), func(ctx context.Context, in *struct {
			UserPath
			CallingToken
			Body api.CertificateCreate
		},
		) (*body[api.CertificateCreated], error) {
			return answer(s.director.CreateCertificate(ctx, actor(ctx), in.User, in.secret(), in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodDelete, Path: all + "/{certificate}", ID: "revoke-certificate", Summary: "Revoke certificates of a user", Status: http.StatusNoContent},
		user(), func(ctx context.Context, in *struct {
			UserPath
			Certificate string `path:"certificate" doc:"Serial, or the name that one has, or renewed ones have"`
		},
		) (*struct{}, error) {
			return nil, s.director.RevokeCertificate(ctx, actor(ctx), in.User, in.Certificate)
		})
	wire.Register(s.api, wire.Route{Method: http.MethodDelete, Path: all, ID: "revoke-certificates", Summary: "Revoke all certificates of a user", Status: http.StatusNoContent},
		user(), func(ctx context.Context, in *UserPath) (*struct{}, error) {
			return nil, s.director.RevokeCertificate(ctx, actor(ctx), in.User, "")
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/ca/certificates", ID: "list-certificates", Summary: "The certificates that the installation has issued and that have not ended"},
		admin(), func(ctx context.Context, in *struct {
			Page
			Role     string `query:"role" enum:"user,manager,agent,director" doc:"Of this role only"`
			Expiring int64  `query:"expiring" minimum:"1" maximum:"3153600000" doc:"That end within so many seconds only"`
			Revoked  bool   `query:"revoked" doc:"Those that are revoked, instead of those that open something"`
		},
		) (*body[api.List[api.Certificate]], error) {
			q := app.CertificateQuery{Role: in.Role, Expiring: time.Duration(in.Expiring) * time.Second, Revoked: in.Revoked}
			return answer(s.director.Certificates(ctx, q, in.page()))
		})
}
