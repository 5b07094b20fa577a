package agent

import (
	"context"
	"io"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Metrics gives the agent's metrics in Prometheus' text format; the caller closes it and bounds what it reads.
func (c *Client) Metrics(ctx context.Context, epoch api.Epoch) (io.ReadCloser, error) {
	return wire.Stream(ctx, c.wire, http.MethodGet, "/v1/metrics", nil, wire.WithEpoch(epoch))
}
