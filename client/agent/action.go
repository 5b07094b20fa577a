package agent

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Act has the node do an action of its service's type with the input in, nil for none, and gives its output as it comes; what is true of
// in and of the answer wire.Transfer says. The answer has api.HeaderSkipped where nothing was to be done. api.CodeThrottled: another
// action runs on the node; api.CodeNotFound: its type has no such action.
func (c *Client) Act(ctx context.Context, epoch api.Epoch, action string, params url.Values, in io.Reader) (*wire.Transferred, error) {
	path := "/v1/actions/" + url.PathEscape(action)
	if len(params) > 0 {
		path += "?" + params.Encode()
	}
	return wire.Transfer(ctx, c.wire, http.MethodPost, path, in, wire.WithEpoch(epoch))
}
