package join

import (
	"context"
	"fmt"
	"net"

	"conpaas/certs/mtls"
	"conpaas/client/api"
)

// Splice asks the director for a bare connection to the manager of an agent's application. The director only carries
// bytes: the agent does TLS with its manager in it, as it would without.
func Splice(ctx context.Context, b api.Bootstrap, s *mtls.Store) (net.Conn, error) {
	d, err := newDirector(b, s)
	if err != nil {
		return nil, err
	}
	conn, err := d.client.Upgrade(ctx, api.SplicePath, api.SpliceProtocol)
	if err != nil {
		return nil, fmt.Errorf("have the director carry the connection of %s to its manager: %w", b.Node, err)
	}
	return conn, nil
}
