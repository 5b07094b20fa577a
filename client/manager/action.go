package manager

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Act has a machine of a service, which the manager chooses, do an action of the service's type with the input in, nil for none, and
// gives its output as it comes; what is true of in and of the answer wire.Transfer says. The answer has api.HeaderSkipped where
// nothing was to be done. An unknown service or action is api.CodeNotFound, a silent machine api.CodeUnavailable, one
// that does another action api.CodeThrottled.
func (c *Client) Act(ctx context.Context, epoch api.Epoch, service api.ServiceID, action string, params url.Values, in io.Reader) (*wire.Transferred, error) {
	path := "/v1/services/" + service.String() + "/actions/" + url.PathEscape(action)
	return wire.Transfer(ctx, c.wire, http.MethodPost, withQuery(path, params), in, wire.WithEpoch(epoch))
}
