package director

import (
	"context"
	"io"
	"iter"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Nodes lists the machines of an application, its manager included.
func (c *Client) Nodes(ctx context.Context, application string) ([]api.Node, error) {
	return list[api.Node](ctx, c, path("applications", application, "nodes"), nil)
}

// Node gives one node.
func (c *Client) Node(ctx context.Context, node api.NodeID) (api.Node, error) {
	return get[api.Node](ctx, c, path("nodes", string(node)))
}

// Exec runs a command on a node and gives its output as it comes; the last frame has the exit status.
func (c *Client) Exec(ctx context.Context, node api.NodeID, in api.ExecRequest) iter.Seq2[api.ExecFrame, error] {
	return values(ctx, c, http.MethodPost, path("nodes", string(node), "exec"), in, wire.Lines[api.ExecFrame])
}

// Console gives what the machine wrote to its console, as text. The caller closes it.
func (c *Client) Console(ctx context.Context, node api.NodeID) (io.ReadCloser, error) {
	return stream(ctx, c, http.MethodGet, path("nodes", string(node), "console"), nil)
}

// NodeLog gives a log of the node as text. The caller closes it.
func (c *Client) NodeLog(ctx context.Context, node api.NodeID, q LogQuery) (io.ReadCloser, error) {
	return stream(ctx, c, http.MethodGet, with(path("nodes", string(node), "log"), q.values()), nil)
}
