package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
)

// actionRoutes are for what users do with a running service, and for the secrets of its type.
func (s *server) actionRoutes() {
	const one = "/v1/applications/{application}/services/{service}"
	wire.Register(s.api, wire.Route{Method: http.MethodPut, Path: one + "/secrets/{secret}", ID: "set-service-secret", Summary: "Replace a secret of a service", Status: http.StatusAccepted},
		operate(), func(ctx context.Context, in *struct {
			ServicePath
			Secret string `path:"secret" doc:"One of its type that is settable"`
			Body   api.SecretChange
		},
		) (*body[api.Operation], error) {
			return answer(s.director.SetServiceSecret(ctx, actor(ctx), in.Application, in.Service, in.Secret, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: one + "/commands/{command}", ID: "command", Summary: "Have all machines of a service begin a command of its type, once", Status: http.StatusAccepted},
		operate(), func(ctx context.Context, in *struct {
			ServicePath
			Command string `path:"command" doc:"One of its type"`
			Body    api.CommandRun
		},
		) (*body[api.Operation], error) {
			return answer(s.director.Command(ctx, actor(ctx), in.Application, in.Service, in.Command, in.Body))
		})
	s.api.Raw(wire.Route{
		Method: http.MethodPost, Path: one + "/actions/{action}", ID: "act", MaxBody: api.MaxActionInput, Body: wire.Bytes{}, Idle: api.ActionIdle,
		Summary: "Have a machine of a service do an action of its type; the body is its input, the answer its output, which breaks off where it fails: the operation of the header Conpaas-Operation has the reason",
		Query:   []wire.Query{wire.QueryOthers("params", "Parameters of the action")},
	}, operate(), s.act)
}

func (s *server) act(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	out := wire.NewOutput(w)
	skipped, err := s.director.Act(r.Context(), actor(r.Context()), path("application"), path("service"), path("action"), app.ActionStream{
		Params: r.URL.Query(), In: r.Body, Out: out,
		Begun: func(id api.OperationID) { w.Header().Set(api.HeaderOperation, string(id)) },
	})
	if err != nil {
		return err
	}
	if skipped != "" {
		w.Header().Set(api.HeaderSkipped, wire.OneLine(skipped))
	}
	out.End()
	return nil
}
