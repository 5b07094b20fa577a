package service

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"conpaas/agent/host"
)

// BlobDir is where the agent keeps blobs, below the host's state directory: each under its SHA-256.
const BlobDir = "state/blobs"

var blobDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// OpenBlob opens a blob that the node's spec names. The agent has checked that its SHA-256 is its name. A missing
// one is fs.ErrNotExist.
func OpenBlob(h *host.Host, digest string) (f *os.File, size int64, err error) {
	if !blobDigest.MatchString(digest) {
		return nil, 0, fmt.Errorf("blob %.80q: %w", digest, fs.ErrNotExist)
	}
	name := BlobDir + "/" + digest
	if size, err = h.State().Size(name); err != nil {
		return nil, 0, err
	}
	f, err = h.State().OpenFile(name, os.O_RDONLY, 0)
	return f, size, err
}
