package httpapi

import (
	"context"
	"net/http"
	"time"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
)

func (s *server) auditRoutes() {
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/audit", ID: "list-audit", Summary: "The audit log, newest first: for an administrator all of it, for others what they did and what was done with their applications"},
		user(), func(ctx context.Context, in *struct {
			Page
			User        string    `query:"user" doc:"Who did it: a user's name, or for example agent n2"`
			Application string    `query:"application" doc:"Id, name or OWNER:NAME; the id also after it is deleted"`
			Action      string    `query:"action" doc:"Beginning of the action, for example start-"`
			From        string    `query:"from" doc:"IP address"`
			Failed      bool      `query:"failed" doc:"Only what was refused or went wrong"`
			Since       time.Time `query:"since" doc:"From this time on"`
			Until       time.Time `query:"until" doc:"Before this time"`
		},
		) (*body[api.List[api.AuditEntry]], error) {
			q := app.AuditQuery{User: in.User, Application: in.Application, Action: in.Action, Address: in.From, Failed: in.Failed, Since: in.Since, Until: in.Until}
			return answer(s.director.Audit(ctx, actor(ctx), q, in.page()))
		})
}
