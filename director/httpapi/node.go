package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

type nodePath struct {
	Node string `path:"node" doc:"Id, for example n12"`
}

// execBody is the largest body of an exec request: 512 KiB of input in base64, and the command.
const execBody = 1 << 20

func (s *server) nodeRoutes() {
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/applications/{application}/nodes", ID: "list-nodes", Summary: "Machines of an application, its manager included"},
		view(), func(ctx context.Context, in *struct {
			ApplicationPath
			Page
		},
		) (*body[api.List[api.Node]], error) {
			return answer(s.director.ApplicationNodes(ctx, actor(ctx), in.Application, in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/nodes/{node}", ID: "show-node", Summary: "One machine"},
		view(), func(ctx context.Context, in *nodePath) (*body[api.Node], error) {
			return answer(s.director.Node(ctx, actor(ctx), api.NodeID(in.Node)))
		})
	s.api.Raw(wire.Route{Method: http.MethodPost, Path: "/v1/nodes/{node}/exec", ID: "exec", Summary: "Run a command on a machine (answer lines of ExecFrame)", MaxBody: execBody, Body: api.ExecRequest{}},
		operate(), func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
			var in api.ExecRequest
			if err := wire.Decode(r, &in); err != nil {
				return err
			}
			frames, err := s.director.Exec(r.Context(), actor(r.Context()), api.NodeID(path("node")), in)
			if err != nil {
				return err
			}
			return sendFrames(w, frames)
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/nodes/{node}/console", ID: "console", Summary: "What the machine has printed on its console, as text"},
		operate(), func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
			text, err := s.director.Console(r.Context(), actor(r.Context()), api.NodeID(path("node")))
			if err != nil {
				return err
			}
			return copyText(w, text)
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/nodes/{node}/log", ID: "node-log", Summary: "A log of the machine as text", Query: append(logQuery(), wire.QueryText("name", "Which; default the agent's own"))},
		view(), func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
			text, err := s.director.NodeLog(r.Context(), actor(r.Context()), api.NodeID(path("node")), r.URL.Query().Get("name"), logRange(r))
			if err != nil {
				return err
			}
			return copyText(w, text)
		})
}
