package director

import (
	"context"

	"conpaas/client/api"
)

// Clouds lists the clouds that the director may use.
func (c *Client) Clouds(ctx context.Context) ([]api.Cloud, error) {
	return list[api.Cloud](ctx, c, path("clouds"), nil)
}

// Cloud gives one cloud.
func (c *Client) Cloud(ctx context.Context, name string) (api.Cloud, error) {
	return get[api.Cloud](ctx, c, path("clouds", name))
}

// CheckCloud tries a cloud and tells what was found.
func (c *Client) CheckCloud(ctx context.Context, name string) ([]api.Check, error) {
	checks, err := post[api.List[api.Check]](ctx, c, path("clouds", name, "check"), nil)
	return checks.Items, err
}
