package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
)

// MaxBlob is how many bytes a blob may have.
const MaxBlob = 4 << 30

// Bounds of the receiving of blobs.
const (
	spaceEvery   = 16 << 20 // bytes between two looks at the free space
	reservedDisk = 64 << 20 // bytes that stay free whatever comes, or a twentieth of the disk where that is less
)

const partSuffix = ".part"

var blobDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// blobs are the files that the spec names by their SHA-256, for example archives of code: those that have come from the
// director, to be passed on to agents. It is a cache. A file has its name only once all of it is on the disk and its
// digest is right, so that whatever a killed manager leaves behind is either whole or a beginning that goes on.
type blobs struct {
	dir string

	mu    sync.Mutex
	wants map[string]bool  // by the spec
	has   map[string]int64 // size of those that are whole
	comes map[string]bool  // being received
}

// openBlobs looks what is in a directory, which is made where there is none.
func openBlobs(dir string) (*blobs, error) {
	b := &blobs{dir: dir, wants: map[string]bool{}, has: map[string]int64{}, comes: map[string]bool{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory for blobs: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for blobs: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && blobDigest.MatchString(e.Name()) && info.Mode().IsRegular() {
			b.has[e.Name()] = info.Size()
		}
	}
	return b, nil
}

// blobsOf gives the blobs that a spec names.
func blobsOf(spec api.ManagerSpec) map[string]bool {
	named := make(map[string]bool)
	for _, s := range spec.Application.Services {
		if s.Code == nil {
			continue
		}
		for _, v := range s.Code.Versions {
			if blobDigest.MatchString(v.SHA256) {
				named[v.SHA256] = true
			}
		}
	}
	return named
}

// want takes the blobs that the newest spec names, and removes all others.
func (b *blobs) want(named map[string]bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wants = named
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return fmt.Errorf("prune blobs: %w", err)
	}
	var errs []error
	for _, e := range entries {
		digest := strings.TrimSuffix(e.Name(), partSuffix)
		if named[digest] || b.comes[digest] {
			continue
		}
		delete(b.has, digest)
		errs = append(errs, os.RemoveAll(filepath.Join(b.dir, e.Name())))
	}
	return errors.Join(errs...)
}

// lacks gives the blobs that the spec names and that are not here, in order; nil when there are none.
func (b *blobs) lacks() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, digest := range slices.Sorted(maps.Keys(b.wants)) {
		if _, ok := b.has[digest]; !ok {
			out = append(out, digest)
		}
	}
	return out
}

// find tells how many bytes of a blob are here, and whether they are all and checked.
func (b *blobs) find(digest string) (length int64, complete bool, err error) {
	if !blobDigest.MatchString(digest) {
		return 0, false, api.Errorf(api.CodeNotFound, "%.80q is no SHA-256 in lower-case hex", digest)
	}
	b.mu.Lock()
	size, ok := b.has[digest]
	b.mu.Unlock()
	if ok {
		return size, true, nil
	}
	info, err := os.Stat(b.path(digest) + partSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, api.Errorf(api.CodeNotFound, "this manager has nothing of blob %s", digest)
	}
	if err != nil {
		return 0, false, fmt.Errorf("look for blob %s: %w", digest, err)
	}
	return info.Size(), false, nil
}

func (b *blobs) path(digest string) string { return filepath.Join(b.dir, digest) }

// open gives a blob that is whole. One whose file has vanished is forgotten, so that it is asked for again.
func (b *blobs) open(digest string) (*os.File, int64, error) {
	f, err := os.Open(b.path(digest))
	if err != nil {
		b.mu.Lock()
		delete(b.has, digest)
		b.mu.Unlock()
		return nil, 0, fmt.Errorf("open blob %s: %w", digest, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open blob %s: %w", digest, err), f.Close())
	}
	return f, info.Size(), nil
}

// verify removes a blob whose file is damaged, so that it is asked for again.
func (b *blobs) verify(digest string) error {
	sum, err := digestOf(b.path(digest))
	if err != nil || sum == digest {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.has, digest)
	return errors.Join(fmt.Errorf("blob %s was damaged on the manager's disk", digest), os.Remove(b.path(digest)))
}

// complete tells whether a blob is here.
func (b *blobs) complete(digest string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.has[digest]
	return ok
}

// Part is what a PutBlob carries: the bytes from Offset to the end of a blob of Total bytes.
type Part struct {
	Offset, Total int64
}

// put receives a blob or the rest of one.
func (b *blobs) put(ctx context.Context, digest string, part Part, body io.Reader) error {
	if err := b.begin(digest, part); err != nil {
		return err
	}
	defer b.end(digest)
	have, complete, err := b.find(digest)
	if complete {
		return nil
	}
	if err != nil && api.CodeFrom(err) != api.CodeNotFound {
		return err
	}
	if part.Offset > have {
		return api.Errorf(api.CodeConflict, "the part begins at byte %d, and this manager has %d bytes of blob %s", part.Offset, have, digest)
	}
	name := b.path(digest) + partSuffix
	if err := b.receive(ctx, name, part, body); err != nil {
		return err
	}
	sum, err := digestOf(name)
	if err != nil {
		return err
	}
	if sum != digest {
		return errors.Join(api.InField("sha256", "what has come has the SHA-256 %s, not %s; send it again from its beginning", sum, digest), os.Remove(name))
	}
	if err := os.Rename(name, b.path(digest)); err != nil {
		return fmt.Errorf("keep blob %s: %w", digest, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.has[digest] = part.Total
	return syncDirectory(b.dir)
}

func (b *blobs) begin(digest string, part Part) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.wants[digest]:
		return api.Errorf(api.CodeNotFound, "the spec of this manager names no blob %.80q", digest)
	case part.Total < 0 || part.Total > MaxBlob:
		return api.Errorf(api.CodeTooLarge, "a blob of %d bytes; at most %d are allowed", part.Total, int64(MaxBlob))
	case part.Offset < 0 || part.Offset > part.Total:
		return api.InField("Content-Range", "the part begins at byte %d of %d", part.Offset, part.Total)
	case b.comes[digest]:
		return api.Errorf(api.CodeConflict, "blob %s is being sent already", digest)
	}
	b.comes[digest] = true
	return nil
}

// end notes that nothing of a blob comes any more. One that no spec names since it came is removed.
func (b *blobs) end(digest string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.comes, digest)
	if !b.wants[digest] {
		delete(b.has, digest)
		os.Remove(b.path(digest)) // what stays is removed with the next spec
		os.Remove(b.path(digest) + partSuffix)
	}
}

func (b *blobs) receive(ctx context.Context, name string, part Part, body io.Reader) (err error) {
	if err := b.room(part.Total - part.Offset); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return full(fmt.Errorf("receive blob: %w", err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(part.Offset); err != nil {
		return full(fmt.Errorf("receive blob: %w", err))
	}
	if _, err := f.Seek(part.Offset, io.SeekStart); err != nil {
		return fmt.Errorf("receive blob: %w", err)
	}
	for left := part.Total - part.Offset; left > 0; {
		if err := errors.Join(ctx.Err(), b.room(0)); err != nil {
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

// room refuses what would leave the disk too full for the machine to work.
func (b *blobs) room(more int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(b.dir, &s); err != nil {
		return fmt.Errorf("free space of %s: %w", b.dir, err)
	}
	free, total := int64(s.Bavail)*s.Bsize, int64(s.Blocks)*s.Bsize
	if free-more < min(reservedDisk, total/20) {
		return api.Errorf(api.CodeFull, "the disk of the manager has %d bytes free, too few for %d more", free, more)
	}
	return nil
}

// full makes an error that is for want of space one that says so.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return api.Errorf(api.CodeFull, "the disk of the manager is full: %v", err)
	}
	return err
}

func digestOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("check blob: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("check blob: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
