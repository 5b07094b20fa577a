package httpapi

import "net/http"

func (s *server) readMetrics(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	return s.metrics.Serve(w, r, s.app.Labels())
}
