// Package manager is the director's typed client for the managers of applications: one method per operation,
// made over the connection that the manager has opened.
//
// It knows the routes and the types of client/api. It knows nothing of how a manager does what it is told, nor
// of the director's database.
package manager

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Client calls one manager. It is safe for use by several goroutines.
type Client struct {
	wire *wire.Client
}

// New gives a client that calls through c, for example the one that wire.Hub.Client gives for the manager's node.
func New(c *wire.Client) *Client { return &Client{wire: c} }

// PutApplication tells the manager the whole truth about its application. When it returns without an error the
// manager's own end of the overlay knows the keys of spec.Nodes, so that an agent's join may be answered after
// it. A manager that has seen a higher epoch answers api.CodeStale, one of another application api.CodeInvalid; one that
// has taken the spec but could not yet configure its overlay answers api.CodeUnavailable, and repeating helps.
func (c *Client) PutApplication(ctx context.Context, epoch api.Epoch, spec api.ManagerSpec) error {
	_, err := wire.Call[struct{}](ctx, c.wire, http.MethodPut, "/v1/application", spec, wire.WithEpoch(epoch))
	return err
}
