package wire

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"conpaas/client/api"
)

// BlobKeeper is the component that blobs are sent to.
type BlobKeeper interface {
	// FindBlob tells how much of a blob is here. api.CodeNotFound: nothing.
	FindBlob(digest string) (api.Blob, error)
	// PutBlob receives a blob or the rest of one.
	PutBlob(ctx context.Context, digest string, part api.BlobPart, body io.Reader) error
}

// Blobs adds the routes by which a parent sends blobs down. HEAD answers the length so far as Content-Length: 200 when the
// blob is complete, 202 when it is not. PUT takes the body as the bytes that Content-Range names: to the end of the blob,
// from where it has come to; without the header the body is the whole blob.
func (a *API) Blobs(rule Rule, k BlobKeeper) {
	const path = "/v1/blobs/{sha256}"
	a.Raw(Route{Method: http.MethodHead, Path: path, ID: "find-blob", Summary: "How much of a blob is here"}, rule,
		func(w http.ResponseWriter, _ *http.Request, path func(string) string) error {
			blob, err := k.FindBlob(path("sha256"))
			if err != nil {
				return err
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", strconv.FormatInt(blob.Length, 10))
			if blob.Complete {
				w.WriteHeader(http.StatusOK)
			} else {
				w.WriteHeader(http.StatusAccepted)
			}
			return nil
		})
	a.Raw(Route{Method: http.MethodPut, Path: path, ID: "put-blob", Summary: "Send a blob or the rest of one", MaxBody: api.MaxBlob, Body: Bytes{}}, rule,
		func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
			part, err := readPart(r)
			if err != nil {
				return err
			}
			if err := k.PutBlob(r.Context(), path("sha256"), part, r.Body); err != nil {
				return err
			}
			w.WriteHeader(http.StatusNoContent)
			return nil
		})
}

// readPart reads which part of a blob a request carries (RFC 9110, 14.4).
func readPart(r *http.Request) (api.BlobPart, error) {
	text := r.Header.Get("Content-Range")
	if text == "" {
		if r.ContentLength < 0 {
			return api.BlobPart{}, api.InField("Content-Range", "say how long the blob is, by Content-Length or Content-Range")
		}
		return api.BlobPart{Total: r.ContentLength}, nil
	}
	var part api.BlobPart
	var last int64
	if n, err := fmt.Sscanf(text, "bytes */%d", &part.Total); err == nil && n == 1 && text == fmt.Sprintf("bytes */%d", part.Total) {
		part.Offset = part.Total // nothing more comes; what is here is checked
		return part, nil
	}
	n, err := fmt.Sscanf(text, "bytes %d-%d/%d", &part.Offset, &last, &part.Total)
	if err != nil || n != 3 || text != fmt.Sprintf("bytes %d-%d/%d", part.Offset, last, part.Total) || last != part.Total-1 || part.Offset < 0 || part.Offset > last {
		return api.BlobPart{}, api.InField("Content-Range", "%.80q is not \"bytes first-last/total\" with the blob's last byte", text)
	}
	return part, nil
}

// FindBlob asks a child how much of a blob it has; Length 0 for none.
func FindBlob(ctx context.Context, c *Client, epoch api.Epoch, sha256 string) (api.Blob, error) {
	path := "/v1/blobs/" + sha256
	answer, err := c.send(ctx, http.MethodHead, path, nil, []Option{WithEpoch(epoch)})
	if api.CodeFrom(err) == api.CodeNotFound {
		return api.Blob{}, nil
	}
	if err != nil {
		return api.Blob{}, err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusAccepted {
		return api.Blob{}, api.Errorf(api.CodeInternal, "look for blob %s: the answer is %q", sha256, answer.Status)
	}
	return api.Blob{Length: max(0, answer.ContentLength), Complete: answer.StatusCode == http.StatusOK}, nil
}

// PutBlob sends a child a blob of size bytes, from where an earlier try has ended. Only blobs that the child's spec names
// are taken, others are api.CodeNotFound. api.CodeInvalid: its SHA-256 is another, and the child has removed what it had;
// api.CodeFull: its disk has no room; api.CodeConflict: somebody else is sending it. A blob that is there already is not
// sent again, and that is no error.
func PutBlob(ctx context.Context, c *Client, epoch api.Epoch, sha256 string, size int64, from io.ReaderAt) error {
	have, err := FindBlob(ctx, c, epoch, sha256)
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
	_, err = Call[struct{}](ctx, c, http.MethodPut, "/v1/blobs/"+sha256, rest, WithEpoch(epoch), WithHeader("Content-Range", place))
	return err
}
