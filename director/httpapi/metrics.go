package httpapi

import (
	"net/http"

	"conpaas/client/wire"
)

// metricsRoutes are for scrapers, which bring an administrator's token.
func (s *server) metricsRoutes() {
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: "/metrics", ID: "metrics", Summary: "The director's metrics as Prometheus reads them"},
		admin(), func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
			return s.metrics.Serve(w, r, nil)
		})
}
