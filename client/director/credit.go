package director

import (
	"context"
	"net/url"

	"conpaas/client/api"
)

// Credits lists what all users have and spend; it is for administrators.
func (c *Client) Credits(ctx context.Context) ([]api.Credit, error) {
	return list[api.Credit](ctx, c, path("credits"), nil)
}

// Credit gives what a user has and spends; others than Self are there for administrators only.
func (c *Client) Credit(ctx context.Context, user string) (api.Credit, error) {
	return get[api.Credit](ctx, c, path("users", user, "credit"))
}

// AddCredit adds to a user's credits, or takes some; it is for administrators.
func (c *Client) AddCredit(ctx context.Context, user string, in api.CreditChange) (api.CreditChanged, error) {
	return post[api.CreditChanged](ctx, c, path("users", user, "credit"), in)
}

// CreditEntries lists the changes of a user's credit, the oldest first; of one application or node where they are not empty.
func (c *Client) CreditEntries(ctx context.Context, user, application string, node api.NodeID) ([]api.CreditEntry, error) {
	return list[api.CreditEntry](ctx, c, path("users", user, "credit", "entries"), creditQuery(application, node))
}

// NodeCredits lists what each node of a user has cost; of one application or node where they are not empty.
func (c *Client) NodeCredits(ctx context.Context, user, application string, node api.NodeID) ([]api.NodeCredit, error) {
	return list[api.NodeCredit](ctx, c, path("users", user, "credit", "nodes"), creditQuery(application, node))
}

func creditQuery(application string, node api.NodeID) url.Values {
	query := url.Values{}
	if application != "" {
		query.Set("application", application)
	}
	if node != "" {
		query.Set("node", string(node))
	}
	return query
}
