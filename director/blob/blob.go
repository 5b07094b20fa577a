// Package blob keeps archives in files that are named by their SHA-256, and the uploads that become such files.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
)

// Max is how many bytes an archive with code may have.
const Max = 1 << 30

// Of the disk with the archives, this much stays free whatever is uploaded.
const (
	reservedBytes = 512 << 20
	reservedShare = 10 // one part of so many
	spaceEvery    = 16 << 20
)

// maxUploads is how many archives are received and checked at once.
const maxUploads = 4

// Dir is a folder of archives. What a method refuses is an *api.Error; others are of the disk.
type Dir struct {
	dir   string
	limit int64 // bytes of one
	space func() (free, total uint64, err error)
	slots chan struct{}
	mu    sync.Mutex // held while a blob becomes named by the database, or is removed because it is not
	parts parts
}

// Open opens a folder, and makes it when it is missing.
func Open(dir string) (*Dir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d := &Dir{dir: dir, limit: Max, slots: make(chan struct{}, maxUploads)}
	d.space = func() (uint64, uint64, error) {
		var s unix.Statfs_t
		if err := unix.Statfs(dir, &s); err != nil {
			return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
		}
		return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
	}
	return d, nil
}

// Turn gives the caller one of the few turns to upload, until it calls done.
func (d *Dir) Turn() (done func(), err error) {
	select {
	case d.slots <- struct{}{}:
		return func() { <-d.slots }, nil
	default:
		return nil, api.Errorf(api.CodeThrottled, "%d archives are being uploaded to this director already; try again", maxUploads)
	}
}

// room refuses what would leave the disk too full.
func (d *Dir) room(more int64) error {
	free, total, err := d.space()
	if err != nil {
		return err
	}
	if reserved := max(reservedBytes, total/reservedShare); free < reserved || free-reserved < uint64(more) {
		return api.Errorf(api.CodeFull, "the director's disk has %d MiB free, of which %d MiB stay free: too few for an archive of %d bytes; delete versions that are not needed, or ask the administrator for space",
			free>>20, reserved>>20, more)
	}
	return nil
}

// Upload is an archive that has come wholly and is no blob yet.
type Upload struct {
	*os.File
	Size   int64  // bytes
	SHA256 string // in lower case
}

// Drop ends an upload; one that has been kept is not harmed.
func (u *Upload) Drop() error {
	err := os.Remove(u.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(u.Close(), err)
}

// Receive reads an archive to its end. announced is its size, -1 where nobody has said it. The caller drops it.
func (d *Dir) Receive(ctx context.Context, body io.Reader, announced int64) (_ *Upload, err error) {
	if announced > d.limit {
		return nil, d.tooLarge()
	}
	if err := d.room(max(announced, 0)); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(d.dir, "upload-*")
	if err != nil {
		return nil, full(err)
	}
	u := &Upload{File: f}
	if err := d.fill(ctx, u, sha256.New(), body, d.limit); err != nil {
		return nil, errors.Join(err, u.Drop())
	}
	return u, nil
}

// fill reads a body to its end into an upload, of which sum has read what is there.
func (d *Dir) fill(ctx context.Context, u *Upload, sum hash.Hash, body io.Reader, limit int64) error {
	for {
		n, err := io.CopyN(io.MultiWriter(u.File, sum), body, min(spaceEvery, limit+1-u.Size))
		u.Size += n
		switch {
		case u.Size > limit:
			return d.tooLarge()
		case errors.Is(err, io.EOF):
			u.SHA256 = hex.EncodeToString(sum.Sum(nil))
			return full(u.Sync())
		case err != nil:
			return full(fmt.Errorf("receive an archive: %w", err))
		}
		if err := errors.Join(ctx.Err(), d.room(0)); err != nil {
			return err
		}
	}
}

func (d *Dir) tooLarge() error {
	return api.Errorf(api.CodeTooLarge, "the archive has more than %d MiB; leave out what the program does not need", d.limit>>20)
}

// full says what a full disk means to the one who uploads.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return api.Errorf(api.CodeFull, "the director's disk is full; nothing was changed; free some space and try again")
	}
	return err
}

// Keep makes an upload a blob, and has name write it down. When that fails, Prune finds out whether it is one.
func (d *Dir) Keep(u *Upload, name func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := d.path(u.SHA256)
	if _, err := os.Stat(path); err != nil {
		if err := os.Rename(u.Name(), path); err != nil {
			return full(err)
		}
		if err := syncDir(d.dir); err != nil {
			return err
		}
	}
	return name()
}

func (d *Dir) path(sum string) string { return filepath.Join(d.dir, sum) }

// Open gives a blob and its size.
func (d *Dir) Open(sum string) (*os.File, int64, error) {
	f, err := os.Open(d.path(sum))
	if err != nil {
		return nil, 0, fmt.Errorf("archive %s: %w", sum, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("archive %s: %w", sum, err), f.Close())
	}
	return f, info.Size(), nil
}

// Prune removes the blobs that the database does not name. uploads tells whether interrupted uploads go, too, but for those
// that can go on: nobody may upload then.
func (d *Dir) Prune(named func() (map[string]bool, error), uploads bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	keep, err := named()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	errs := []error{d.prunePart(maxParts)}
	for _, e := range entries {
		blob := len(e.Name()) == hex.EncodedLen(sha256.Size)
		if blob && !keep[e.Name()] || !blob && uploads && !isPart(e.Name()) {
			errs = append(errs, os.Remove(filepath.Join(d.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
