package command

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"conpaas/client/api"
	"conpaas/client/director"
)

// roleFacts is what one machine says of a role; F are the facts that the service type has of it, zero where it says none.
type roleFacts[F any] struct {
	Node   api.NodeID    `json:"node"`
	Role   api.Role      `json:"-"`
	State  api.RoleState `json:"state"`
	Reason string        `json:"reason,omitempty"`
	Facts  F             `json:"facts"`
}

// factsOf asks the machines of a service, one by one, how they do in some roles. Roles that are drained are left out.
func factsOf[F any](ctx context.Context, c *director.Client, application, service string, roles ...api.Role) ([]roleFacts[F], error) {
	nodes, err := c.ServiceNodes(ctx, application, service)
	if err != nil {
		return nil, err
	}
	list := []roleFacts[F]{}
	for _, n := range nodes {
		one, err := c.Node(ctx, n.ID)
		if api.CodeFrom(err) == api.CodeNotFound { // it has gone since
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, r := range one.Health {
			if !slices.Contains(roles, r.Role) || r.State == api.RoleDrained {
				continue
			}
			says := roleFacts[F]{Node: n.ID, Role: r.Role, State: r.State, Reason: r.Reason}
			if len(r.Facts) > 0 {
				if err := json.Unmarshal(r.Facts, &says.Facts); err != nil {
					return nil, fmt.Errorf("node %s: %w", n.ID, err)
				}
			}
			list = append(list, says)
		}
	}
	return list, nil
}
