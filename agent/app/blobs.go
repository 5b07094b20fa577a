package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"conpaas/client/api"
)

// MaxBlob is how many bytes a blob may have.
const MaxBlob = 4 << 30

// Bounds of the receiving of blobs.
const (
	maxUploads   = 4        // at once
	spaceEvery   = 16 << 20 // bytes between two looks at the free space
	reservedDisk = 64 << 20 // bytes that stay free whatever comes, or a twentieth of the disk where that is less
)

const partSuffix = ".part"

// uploads are the blobs that are being received.
type uploads struct {
	mu  *sync.Mutex
	now map[string]bool
}

func newUploads() uploads { return uploads{mu: &sync.Mutex{}, now: map[string]bool{}} }

func (u uploads) begin(digest string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.now[digest] {
		return api.Errorf(api.CodeConflict, "blob %s is being sent already", digest)
	}
	if len(u.now) >= maxUploads {
		return api.Errorf(api.CodeThrottled, "%d blobs are being sent to this node already", maxUploads)
	}
	u.now[digest] = true
	return nil
}

func (u uploads) end(digest string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.now, digest)
}

// Part is what a PutBlob carries: the bytes from Offset to the end of a blob of Total bytes.
type Part struct {
	Offset, Total int64
}

// FindBlob tells how many bytes of a blob are here, and whether they are all and checked. api.CodeNotFound: none.
func (a *App) FindBlob(digest string) (length int64, complete bool, err error) {
	if !blobDigest.MatchString(digest) {
		return 0, false, api.Errorf(api.CodeNotFound, "%.80q is no SHA-256 in lower-case hex", digest)
	}
	length, err = a.host.State().Size(blobDir + "/" + digest)
	if err == nil {
		return length, true, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		if length, err = a.host.State().Size(blobDir + "/" + digest + partSuffix); err == nil {
			return length, false, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, api.Errorf(api.CodeNotFound, "this node has nothing of blob %s", digest)
	}
	return 0, false, err
}

// PutBlob receives a blob or the rest of one. It is taken only when the spec names it, there is room, and, once
// it is complete, its SHA-256 is its name. What has come of one that breaks off stays for the next try.
func (a *App) PutBlob(ctx context.Context, digest string, part Part, body io.Reader) error {
	if err := a.checkPart(digest, part); err != nil {
		return err
	}
	if err := a.uploads.begin(digest); err != nil {
		return err
	}
	defer a.uploads.end(digest)
	have, complete, err := a.FindBlob(digest)
	if complete {
		return nil
	}
	if err != nil && api.CodeFrom(err) != api.CodeNotFound {
		return err
	}
	if part.Offset > have {
		return api.Errorf(api.CodeConflict, "the part begins at byte %d, and this node has %d bytes of blob %s", part.Offset, have, digest)
	}
	name := blobDir + "/" + digest
	if err := a.receive(ctx, name+partSuffix, part, body); err != nil {
		return err
	}
	sum, err := a.digestOf(name + partSuffix)
	if err != nil {
		return err
	}
	if sum != digest {
		return errors.Join(api.InField("sha256", "what has come has the SHA-256 %s, not %s; send it again from its beginning", sum, digest),
			a.host.State().Remove(name+partSuffix))
	}
	if err := a.host.State().Rename(name+partSuffix, name); err != nil {
		return err
	}
	a.nudge()
	return nil
}

func (a *App) checkPart(digest string, part Part) error {
	want := a.latest()
	switch {
	case !blobDigest.MatchString(digest) || want == nil || !slices.Contains(want.Spec.Blobs, digest):
		return api.Errorf(api.CodeNotFound, "the spec of this node names no blob %.80q", digest)
	case part.Total < 0 || part.Total > MaxBlob:
		return api.Errorf(api.CodeTooLarge, "a blob of %d bytes; at most %d are allowed", part.Total, int64(MaxBlob))
	case part.Offset < 0 || part.Offset > part.Total:
		return api.InField("Content-Range", "the part begins at byte %d of %d", part.Offset, part.Total)
	}
	return a.room(part.Total - part.Offset)
}

// room refuses what would leave the disk too full for the machine to work.
func (a *App) room(more int64) error {
	free, total, err := a.host.State().Space()
	if err != nil {
		return err
	}
	if free-more < min(reservedDisk, total/20) {
		return api.Errorf(api.CodeFull, "the disk of this node has %d bytes free, too few for %d more", free, more)
	}
	return nil
}

func (a *App) receive(ctx context.Context, name string, part Part, body io.Reader) (err error) {
	f, err := a.host.State().OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return full(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(part.Offset); err != nil {
		return full(err)
	}
	if _, err := f.Seek(part.Offset, io.SeekStart); err != nil {
		return err
	}
	left := part.Total - part.Offset
	for left > 0 {
		if err := errors.Join(ctx.Err(), a.room(0)); err != nil {
			return err
		}
		n, err := io.CopyN(f, body, min(left, spaceEvery))
		left -= n
		if errors.Is(err, io.EOF) {
			return api.Errorf(api.CodeInvalid, "the blob ends %d bytes too early; send the rest", left)
		}
		if err != nil {
			return full(fmt.Errorf("receive blob: %w", err))
		}
	}
	if n, _ := body.Read(make([]byte, 1)); n > 0 {
		return api.Errorf(api.CodeTooLarge, "the blob has more than the %d bytes that were announced", part.Total)
	}
	return full(f.Sync())
}

func (a *App) digestOf(name string) (string, error) {
	f, err := a.host.State().OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("check blob: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// lacks gives the blobs that are not here.
func (a *App) lacks(blobs []string) []string {
	var out []string
	for _, b := range blobs {
		if _, complete, err := a.FindBlob(b); err != nil || !complete {
			out = append(out, b)
		}
	}
	return out
}

// prune removes the blobs, and parts of blobs, that the applied spec does not name.
func (a *App) prune(keep []string) error {
	names, err := a.host.State().Names(blobDir)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range names {
		if !slices.Contains(keep, strings.TrimSuffix(n, partSuffix)) {
			errs = append(errs, a.host.State().Remove(blobDir+"/"+n))
		}
	}
	return errors.Join(errs...)
}
