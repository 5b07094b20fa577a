package director

import (
	"context"
	"net/http"

	"conpaas/client/api"
)

// Shares lists with whom an application is shared; it is for its owner.
func (c *Client) Shares(ctx context.Context, application string) ([]api.Share, error) {
	return list[api.Share](ctx, c, path("applications", application, "shares"), nil)
}

// ShareApplication shares an application with another user, or changes the level of its share.
func (c *Client) ShareApplication(ctx context.Context, application, user string, in api.ShareChange) (api.Share, error) {
	return send[api.Share](ctx, c, http.MethodPut, path("applications", application, "shares", user), in)
}

// UnshareApplication ends a share: the owner any, others their own, as Self.
func (c *Client) UnshareApplication(ctx context.Context, application, user string) error {
	_, err := send[struct{}](ctx, c, http.MethodDelete, path("applications", application, "shares", user), nil)
	return err
}
