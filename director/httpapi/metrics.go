package httpapi

import (
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// metricsRoutes are for scrapers, which bring an administrator's token.
func (s *server) metricsRoutes() {
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: "/metrics", ID: "metrics", Summary: "The director's metrics as Prometheus reads them"},
		admin(), func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
			return s.metrics.Serve(w, r, nil)
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/nodes/{node}/metrics", ID: "node-metrics", Summary: "The metrics of the manager or agent on a machine, whoever owns it"},
		admin(), func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
			text, err := s.director.NodeMetrics(r.Context(), api.NodeID(path("node")))
			if err != nil {
				return err
			}
			return copyText(w, text)
		})
}
