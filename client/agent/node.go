package agent

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

// OwnLog is the name of the agent's own log; the other logs are named after the programs of the roles.
const OwnLog = "agent"

// Exec runs a command on the node and gives its output as it comes; the last frame has the exit status or says
// why there is none. The command and all that it has started end when its leader does, when its time is up, and
// when the reading stops. api.CodeThrottled: too many commands run on the node.
func (c *Client) Exec(ctx context.Context, epoch api.Epoch, in api.ExecRequest) iter.Seq2[api.ExecFrame, error] {
	return wire.CallLines[api.ExecFrame](ctx, c.wire, http.MethodPost, "/v1/exec", in, wire.WithEpoch(epoch))
}

// Logs gives the names of the node's logs.
func (c *Client) Logs(ctx context.Context, epoch api.Epoch) ([]string, error) {
	list, err := wire.Call[api.List[string]](ctx, c.wire, http.MethodGet, "/v1/logs", nil, wire.WithEpoch(epoch))
	return list.Items, err
}

// Log gives the last lines of a log as text, and with follow what is added to it until the reader leaves; the caller
// closes it. lines 0 is the agent's default. A name that is not among Logs is api.CodeNotFound.
func (c *Client) Log(ctx context.Context, epoch api.Epoch, name string, lines int, follow bool) (io.ReadCloser, error) {
	q := url.Values{}
	if lines > 0 {
		q.Set("lines", strconv.Itoa(lines))
	}
	if follow {
		q.Set("follow", "true")
	}
	path := "/v1/logs/" + url.PathEscape(name)
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return wire.Stream(ctx, c.wire, http.MethodGet, path, nil, wire.WithEpoch(epoch))
}
