package agent

import (
	"context"
	"io"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// FindBlob tells how much of a blob the agent has; Length 0 for none.
func (c *Client) FindBlob(ctx context.Context, epoch api.Epoch, sha256 string) (api.Blob, error) {
	return wire.FindBlob(ctx, c.wire, epoch, sha256)
}

// PutBlob sends a blob of size bytes, as wire.PutBlob does. NodeStatus.Lacks has the blobs that the agent has not got.
func (c *Client) PutBlob(ctx context.Context, epoch api.Epoch, sha256 string, size int64, from io.ReaderAt) error {
	return wire.PutBlob(ctx, c.wire, epoch, sha256, size, from)
}
