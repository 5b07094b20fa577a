package httpapi

import (
	"io"
	"net/http"

	"conpaas/client/api"
)

// maxMetrics is how many bytes of an agent's metrics are passed on.
const maxMetrics = 1 << 20

func (s *server) readMetrics(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	return s.metrics.Serve(w, r, s.worker.Labels())
}

// nodeMetrics passes the metrics of a node's agent on.
func (s *server) nodeMetrics(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	client, epoch, err := s.worker.Agent(r.Context(), api.NodeID(path("node")))
	if err != nil {
		return err
	}
	text, err := client.Metrics(r.Context(), epoch)
	if err != nil {
		return saidByAgent(r, path, err)
	}
	defer text.Close()
	return pass(w, io.LimitReader(text, maxMetrics))
}
