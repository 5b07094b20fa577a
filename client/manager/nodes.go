package manager

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Exec runs a command on a node of the application and gives its output as it comes; the last frame has the
// exit status or says why there is none. An unknown node is api.CodeNotFound, a silent one api.CodeUnavailable.
func (c *Client) Exec(ctx context.Context, epoch api.Epoch, node api.NodeID, in api.ExecRequest) iter.Seq2[api.ExecFrame, error] {
	return wire.CallLines[api.ExecFrame](ctx, c.wire, http.MethodPost, "/v1/nodes/"+url.PathEscape(string(node))+"/exec", in, wire.WithEpoch(epoch))
}

// LogRange says which part of a log is wanted.
type LogRange struct {
	Lines  int  // how many of the last lines; 0: the component's default
	Follow bool // go on with new lines until the reader leaves
}

func (l LogRange) query() url.Values {
	q := url.Values{}
	if l.Lines > 0 {
		q.Set("lines", strconv.Itoa(l.Lines))
	}
	if l.Follow {
		q.Set("follow", "true")
	}
	return q
}

// NodeLog gives a log of a node as text; the caller closes it. The names of a node's logs are those of its agent;
// "" is the agent's own.
func (c *Client) NodeLog(ctx context.Context, epoch api.Epoch, node api.NodeID, name string, part LogRange) (io.ReadCloser, error) {
	q := part.query()
	if name != "" {
		q.Set("name", name)
	}
	return wire.Stream(ctx, c.wire, http.MethodGet, withQuery("/v1/nodes/"+url.PathEscape(string(node))+"/log", q), nil, wire.WithEpoch(epoch))
}

// Log gives the manager's own log as text; the caller closes it.
func (c *Client) Log(ctx context.Context, epoch api.Epoch, part LogRange) (io.ReadCloser, error) {
	return wire.Stream(ctx, c.wire, http.MethodGet, withQuery("/v1/log", part.query()), nil, wire.WithEpoch(epoch))
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
