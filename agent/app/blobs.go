package app

import (
	"context"
	"io"

	"conpaas/client/api"
)

// FindBlob tells how much of a blob is here. api.CodeNotFound: nothing.
func (a *App) FindBlob(digest string) (api.Blob, error) { return a.blobs.Find(digest) }

// PutBlob receives a blob or the rest of one. It is taken only when the spec names it, there is room, and, once
// it is complete, its SHA-256 is its name. What has come of one that breaks off stays for the next try.
func (a *App) PutBlob(ctx context.Context, digest string, part api.BlobPart, body io.Reader) error {
	if err := a.blobs.Put(ctx, digest, part, body); err != nil {
		return err
	}
	a.nudge()
	return nil
}

// lacks gives the blobs that are not here.
func (a *App) lacks(blobs []string) []string {
	var out []string
	for _, b := range blobs {
		if !a.blobs.Has(b) {
			out = append(out, b)
		}
	}
	return out
}
