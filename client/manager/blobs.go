package manager

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Blob is how much of a blob a manager has.
type Blob struct {
	Length   int64 // bytes
	Complete bool  // all, and their SHA-256 is the blob's name
}

// FindBlob tells how much of a blob the manager has; Length 0 for none.
func (c *Client) FindBlob(ctx context.Context, epoch api.Epoch, sha256 string) (Blob, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, c.wire.Base+"/v1/blobs/"+sha256, nil)
	if err != nil {
		return Blob{}, api.Errorf(api.CodeInvalid, "blob %q: %v", sha256, err)
	}
	wire.WithEpoch(epoch)(request)
	answer, err := c.wire.HTTP.Do(request)
	if err != nil {
		return Blob{}, api.Errorf(api.CodeUnavailable, "look for blob %s: %v", sha256, err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return Blob{Length: answer.ContentLength, Complete: answer.StatusCode == http.StatusOK}, nil
	case http.StatusNotFound:
		return Blob{}, nil
	}
	return Blob{}, api.Errorf(api.CodeOf(answer.StatusCode), "look for blob %s: the manager answers %s", sha256, answer.Status)
}

// PutBlob sends a blob of size bytes, from where an earlier try has ended. Only blobs that the manager's spec names are
// taken (ManagerReport.Lacks has those that it has not got), others are api.CodeNotFound. api.CodeInvalid: its SHA-256 is
// another, and the manager has removed what it had; api.CodeFull: its disk has no room; api.CodeConflict: somebody else is
// sending it. A blob that is there already is not sent again, and that is no error.
func (c *Client) PutBlob(ctx context.Context, epoch api.Epoch, sha256 string, size int64, from io.ReaderAt) error {
	have, err := c.FindBlob(ctx, epoch, sha256)
	if err != nil || have.Complete {
		return err
	}
	if have.Length > size {
		have.Length = 0
	}
	rest := io.NewSectionReader(from, have.Length, size-have.Length)
	place := fmt.Sprintf("bytes %d-%d/%d", have.Length, size-1, size)
	if have.Length == size { // all is there, and what is left is to check it
		place = fmt.Sprintf("bytes */%d", size)
	}
	_, err = wire.Call[struct{}](ctx, c.wire, http.MethodPut, "/v1/blobs/"+sha256, rest, wire.WithEpoch(epoch), wire.WithHeader("Content-Range", place))
	return err
}
