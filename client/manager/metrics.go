package manager

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Metrics gives the manager's own metrics in Prometheus' text format; the caller closes it and bounds what it reads.
func (c *Client) Metrics(ctx context.Context, epoch api.Epoch) (io.ReadCloser, error) {
	return wire.Stream(ctx, c.wire, http.MethodGet, "/v1/metrics", nil, wire.WithEpoch(epoch))
}

// NodeMetrics is Metrics of the agent of a node. An unknown node is api.CodeNotFound, a silent one api.CodeUnavailable.
func (c *Client) NodeMetrics(ctx context.Context, epoch api.Epoch, node api.NodeID) (io.ReadCloser, error) {
	return wire.Stream(ctx, c.wire, http.MethodGet, "/v1/nodes/"+url.PathEscape(string(node))+"/metrics", nil, wire.WithEpoch(epoch))
}
