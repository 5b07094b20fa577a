package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"conpaas/agent/host"
)

// BlobDir is where the agent keeps blobs, below the host's state directory: each under its SHA-256.
const BlobDir = "state/blobs"

var blobDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// OpenBlob opens a blob that the node's spec names. The agent has checked that its SHA-256 is its name. One that has
// not come yet is a *Waiting.
func OpenBlob(h *host.Host, digest string) (f *os.File, size int64, err error) {
	if !blobDigest.MatchString(digest) {
		return nil, 0, fmt.Errorf("blob %.80q: %w", digest, fs.ErrNotExist)
	}
	name := BlobDir + "/" + digest
	size, err = h.State().Size(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, &Waiting{For: fmt.Sprintf("blob %.12s… has not come yet", digest)}
	}
	if err != nil {
		return nil, 0, err
	}
	f, err = h.State().OpenFile(name, os.O_RDONLY, 0)
	return f, size, err
}
