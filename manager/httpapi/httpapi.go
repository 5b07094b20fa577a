// Package httpapi is the manager's HTTP: the routes that its director calls through the connection that the manager has
// opened, and the one route by which agents connect to the manager.
//
// It reads and answers requests. It knows nothing of how the manager does what it is told; that is manager/app.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/wire"
	"conpaas/manager/app"
	"conpaas/manager/journal"
)

// maxSpec is how large a spec may be: one node takes about 300 bytes.
const maxSpec = 32 << 20

type server struct {
	worker  *app.Worker
	guard   *wire.Guard
	journal *journal.Journal
	splices *Splices
	metrics *wire.Metrics
}

// Director gives the routes for the director. Every call must carry an epoch that the guard lets through.
func Director(w *app.Worker, guard *wire.Guard, j *journal.Journal, splices *Splices, log *slog.Logger) http.Handler {
	return guard.Middleware(routes(w, guard, j, splices, log).Handler())
}

func routes(w *app.Worker, guard *wire.Guard, j *journal.Journal, splices *Splices, log *slog.Logger) *wire.API {
	s := &server{worker: w, guard: guard, journal: j, splices: splices, metrics: wire.NewMetrics(daemon.Version)}
	s.metrics.Add(w.Figures, app.Families()...)
	a := wire.NewAPI(wire.Options{
		Title: "ConPaaS manager", Version: daemon.Version, Log: log, Lenient: true, Metrics: s.metrics,
		// Whoever calls through the tunnel is the director that the manager has dialled and whose certificate it
		// has checked.
		Authenticate: func(*http.Request) (wire.Caller, error) { return wire.Caller{Kind: wire.KindDirector}, nil },
	})
	wire.Register(a, wire.Route{Method: http.MethodPut, Path: "/v1/application", ID: "put-application", Summary: "Say what is wanted, and which nodes there are", Status: http.StatusNoContent, MaxBody: maxSpec}, director(), s.putApplication)
	a.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/stream", ID: "stream", Summary: "Plans, states and events as they come"}, director(), s.stream)
	a.Blobs(director(), w)
	a.Raw(wire.Route{Method: http.MethodPost, Path: "/v1/nodes/{node}/exec", ID: "exec", Summary: "Run a command on a node", Body: api.ExecRequest{}}, director(), s.exec)
	a.Raw(wire.Route{
		Method: http.MethodPost, Path: "/v1/services/{service}/actions/{action}", ID: "act", Summary: "Have a machine of a service do an action; the body is its input, the answer its output",
		MaxBody: api.MaxActionInput, Body: wire.Bytes{}, Query: []wire.Query{wire.QueryOthers("params", "Parameters of the action")}, Idle: api.ActionIdle, Told: true,
	}, director(), s.act)
	a.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/nodes/{node}/log", ID: "read-node-log", Summary: "The last lines of a node's log, and what is added", Query: append(logQuery(), wire.QueryText("name", "Which; default the agent's own"))}, director(), s.nodeLog)
	a.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/log", ID: "read-log", Summary: "The last lines of the manager's log, and what is added", Query: logQuery()}, director(), s.log)
	a.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/metrics", ID: "metrics", Summary: "The manager's metrics as Prometheus reads them"}, director(), s.readMetrics)
	a.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/nodes/{node}/metrics", ID: "node-metrics", Summary: "The metrics of a node's agent"}, director(), s.nodeMetrics)
	a.Raw(wire.Route{Method: http.MethodGet, Path: api.SplicePath, ID: "splice", Summary: "Become the connection of an agent that reaches the manager no other way"}, director(), s.splice)
	return a
}

// director is the only rule there is: a manager obeys its director.
func director() wire.Rule {
	return wire.Rule{Name: "director", Allow: func(_ context.Context, c wire.Caller, _ func(string) string) error {
		if c.Kind != wire.KindDirector {
			return api.Errorf(api.CodeForbidden, "only the director may call a manager")
		}
		return nil
	}}
}
