package manager

import (
	"context"
	"net"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Splice opens a bare connection that the manager treats as one that an agent has made to it: what goes through it is TLS
// between the two. The caller has checked that an agent of the application is at the other end, and closes it.
func (c *Client) Splice(ctx context.Context, epoch api.Epoch) (net.Conn, error) {
	return c.wire.Upgrade(ctx, api.SplicePath, api.SpliceProtocol, wire.WithEpoch(epoch))
}
