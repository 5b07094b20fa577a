// Package httpapi is the agent's own HTTP: the routes that its manager calls through the connection that the agent has
// opened.
//
// It reads and answers requests and knows nothing of how the agent does what it is told; that is agent/app.
package httpapi

import (
	"context"
	"log/slog"
	"math"
	"net/http"

	"conpaas/agent/app"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/wire"
)

// maxSpec is how large a spec or a change of peers may be: one with the most peers has about 12 MB.
const maxSpec = 32 << 20

type server struct {
	app     *app.App
	metrics *wire.Metrics
}

// New gives the routes. Every call must come from the manager, and carry an epoch that the guard lets through.
func New(a *app.App, log *slog.Logger) http.Handler {
	return a.Guard().Middleware(routes(a, log).Handler())
}

func routes(a *app.App, log *slog.Logger) *wire.API {
	s := &server{app: a, metrics: wire.NewMetrics(daemon.Version)}
	s.metrics.Add(a.Figures, app.Families()...)
	w := wire.NewAPI(wire.Options{
		Title: "ConPaaS agent", Version: daemon.Version, Log: log, Lenient: true, Metrics: s.metrics,
		// Whoever calls through the tunnel is the parent that the agent has dialled and whose certificate it
		// has checked.
		Authenticate: func(*http.Request) (wire.Caller, error) { return wire.Caller{Kind: wire.KindManager}, nil },
	})
	wire.Register(w, wire.Route{Method: http.MethodPut, Path: "/v1/spec", ID: "put-spec", Summary: "Say what the node is to be", Status: http.StatusNoContent, MaxBody: maxSpec}, manager(), s.putSpec)
	wire.Register(w, wire.Route{Method: http.MethodPatch, Path: "/v1/peers", ID: "patch-peers", Summary: "Change the peers", Status: http.StatusNoContent, MaxBody: maxSpec}, manager(), s.patchPeers)
	wire.Register(w, wire.Route{Method: http.MethodPut, Path: "/v1/names", ID: "put-names", Summary: "Say what names the node is to resolve", Status: http.StatusNoContent, MaxBody: maxSpec}, manager(), s.putNames)
	wire.Register(w, wire.Route{Method: http.MethodPut, Path: "/v1/trust", ID: "put-trust", Summary: "Say which CA certificates the node is to trust", Status: http.StatusNoContent}, manager(), s.putTrust)
	wire.Register(w, wire.Route{Method: http.MethodGet, Path: "/v1/logs", ID: "list-logs", Summary: "Names of the node's logs"}, manager(), s.listLogs)
	w.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/logs/{name}", ID: "read-log", Summary: "The last lines of a log, and what is added", Query: []wire.Query{
		wire.QueryNumber("lines", 0, math.MaxInt32, "How many of the last; default 100"), wire.QueryFlag("follow", "Go on with what is added"),
	}}, manager(), s.readLog)
	w.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/stream", ID: "stream", Summary: "Status and events as they come"}, manager(), s.stream)
	w.Raw(wire.Route{Method: http.MethodPost, Path: "/v1/exec", ID: "exec", Summary: "Run a command", Body: api.ExecRequest{}}, manager(), s.exec)
	w.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/metrics", ID: "metrics", Summary: "The agent's metrics as Prometheus reads them"}, manager(), s.readMetrics)
	w.Raw(wire.Route{
		Method: http.MethodPost, Path: "/v1/actions/{action}", ID: "act", Summary: "Do an action of the service's type; the body is its input, the answer its output", MaxBody: api.MaxActionInput,
		Body: wire.Bytes{}, Query: []wire.Query{wire.QueryOthers("params", "Parameters of the action")}, Idle: api.ActionIdle, Told: true,
	}, manager(), s.act)
	w.Blobs(manager(), a)
	return w
}

// manager is the only rule there is: an agent obeys its manager.
func manager() wire.Rule {
	return wire.Rule{Name: "manager", Allow: func(_ context.Context, c wire.Caller, _ func(string) string) error {
		if c.Kind != wire.KindManager {
			return api.Errorf(api.CodeForbidden, "only the manager of the application may call its agents")
		}
		return nil
	}}
}
