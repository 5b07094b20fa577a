package managertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"

	"conpaas/client/api"
)

// Blob gives a blob of the agent as far as it has come.
func (a *Agent) Blob(digest string) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.blobs[digest])
}

// Cut makes the agent break off the next blob after so many bytes.
func (a *Agent) Cut(bytes int) { a.edit(func() { a.cut = bytes }) }

// Digest is the name of a blob.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// lacks is called with the lock held.
func (a *Agent) lacks() (out []string) {
	for _, digest := range a.spec.Blobs {
		if Digest(a.blobs[digest]) != digest {
			out = append(out, digest)
		}
	}
	return out
}

// FindBlob tells how much of a blob has come.
func (a *Agent) FindBlob(digest string) (api.Blob, error) {
	data := a.Blob(digest)
	if data == nil {
		return api.Blob{}, api.Errorf(api.CodeNotFound, "nothing")
	}
	return api.Blob{Length: int64(len(data)), Complete: Digest(data) == digest}, nil
}

// PutBlob takes what comes, or breaks off as it was told to.
func (a *Agent) PutBlob(_ context.Context, digest string, part api.BlobPart, body io.Reader) error {
	a.mu.Lock()
	cut := a.cut
	a.mu.Unlock()
	if cut > 0 {
		body = io.LimitReader(body, int64(cut))
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	whole := append(a.Blob(digest)[:part.Offset], data...)
	if int64(len(whole)) == part.Total && Digest(whole) != digest {
		a.edit(func() { delete(a.blobs, digest) })
		return api.InField("sha256", "it is %s", Digest(whole))
	}
	a.edit(func() {
		a.cut = 0
		if a.blobs == nil {
			a.blobs = map[string][]byte{}
		}
		a.blobs[digest] = whole
	})
	if cut > 0 {
		return api.Errorf(api.CodeUnavailable, "it breaks off after %d bytes", cut)
	}
	return nil
}
