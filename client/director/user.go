package director

import (
	"context"
	"net/http"

	"conpaas/client/api"
)

// Version tells what the director runs. It needs no login.
func (c *Client) Version(ctx context.Context) (api.Version, error) {
	return get[api.Version](ctx, c, path("version"))
}

// Login exchanges name and password for a token.
func (c *Client) Login(ctx context.Context, in api.Login) (api.Token, error) {
	return post[api.Token](ctx, c, path("login"), in)
}

// Logout makes the client's token worthless.
func (c *Client) Logout(ctx context.Context) error {
	_, err := send[struct{}](ctx, c, http.MethodPost, path("logout"), nil)
	return err
}

// Me gives the user that the token belongs to.
func (c *Client) Me(ctx context.Context) (api.User, error) {
	return get[api.User](ctx, c, path("users", "me"))
}
