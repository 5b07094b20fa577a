// Package agent is the manager's typed client for the agents of an application: one method per operation, made
// over the connection that the agent has opened.
//
// It knows the routes and the types of client/api. It knows nothing of how an agent does what it is told, nor of
// how a manager comes to its specs.
package agent

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Client calls one agent. It is safe for use by several goroutines. Every call carries the caller's epoch; an agent
// that has seen a higher one answers api.CodeStale.
type Client struct {
	wire *wire.Client
}

// New gives a client that calls through c, for example the one that wire.Hub.Client gives for the agent's node.
func New(c *wire.Client) *Client { return &Client{wire: c} }

// PutSpec tells the agent what its node is to be. When it returns without an error the spec is on the agent's disk
// and will be applied; how that goes comes on the stream. api.CodeInvalid names what is wrong with the spec;
// api.CodeConflict: the spec has no peers (Full is false) and the agent does not have those of its version, send it
// with all; api.CodeFull: the node's disk is full and it keeps the spec it had.
func (c *Client) PutSpec(ctx context.Context, epoch api.Epoch, spec api.NodeSpec) error {
	_, err := wire.Call[struct{}](ctx, c.wire, http.MethodPut, "/v1/spec", spec, wire.WithEpoch(epoch))
	return err
}

// PatchPeers tells the agent what has changed among its peers. api.CodeConflict: the agent has not the version
// delta.From, send the whole spec.
func (c *Client) PatchPeers(ctx context.Context, epoch api.Epoch, delta api.PeerDelta) error {
	_, err := wire.Call[struct{}](ctx, c.wire, http.MethodPatch, "/v1/peers", delta, wire.WithEpoch(epoch))
	return err
}

// PutNames tells the agent all names that its node is to resolve. api.CodeConflict: it has no spec yet.
func (c *Client) PutNames(ctx context.Context, epoch api.Epoch, names api.Names) error {
	_, err := wire.Call[struct{}](ctx, c.wire, http.MethodPut, "/v1/names", names, wire.WithEpoch(epoch))
	return err
}

// PutTrust says what the agent is to trust; it renews its certificate where that is something else.
func (c *Client) PutTrust(ctx context.Context, epoch api.Epoch, trust api.Trust) error {
	_, err := wire.Call[struct{}](ctx, c.wire, http.MethodPut, "/v1/trust", trust, wire.WithEpoch(epoch))
	return err
}
