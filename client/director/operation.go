package director

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Operations lists operations, of one application or, where it is empty, of all.
func (c *Client) Operations(ctx context.Context, application string) ([]api.Operation, error) {
	query := url.Values{}
	if application != "" {
		query.Set("application", application)
	}
	return list[api.Operation](ctx, c, path("operations"), query)
}

// Operation gives one operation.
func (c *Client) Operation(ctx context.Context, id api.OperationID) (api.Operation, error) {
	return get[api.Operation](ctx, c, path("operations", string(id)))
}

// WatchOperation gives the operation as it is now and after every change, until it is final, ctx ends or the
// connection breaks: a loop that ends without a final state begins again.
func (c *Client) WatchOperation(ctx context.Context, id api.OperationID) iter.Seq2[api.Operation, error] {
	return values(ctx, c, http.MethodGet, path("operations", string(id), "watch"), nil, wire.Events[api.Operation])
}

// CancelOperation asks for the end of an operation; what it has done so far stays.
func (c *Client) CancelOperation(ctx context.Context, id api.OperationID) (api.Operation, error) {
	return post[api.Operation](ctx, c, path("operations", string(id), "cancel"), nil)
}
