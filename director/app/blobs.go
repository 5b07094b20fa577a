package app

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

// MaxArchive is how many bytes an archive with code may have.
const MaxArchive = 1 << 30

// Of the disk with the archives, this much stays free whatever is uploaded.
const (
	reservedBytes = 512 << 20
	reservedShare = 10 // one part of so many
	spaceEvery    = 16 << 20
)

// maxUploads is how many archives are received and checked at once.
const maxUploads = 4

// blobs keeps archives in files that are named by their SHA-256.
type blobs struct {
	dir   string
	limit int64 // bytes of one
	space func() (free, total uint64, err error)
	slots chan struct{}
	mu    sync.Mutex // held while a blob becomes named by the database, or is removed because it is not
	parts parts
}

func openBlobs(dir string) (*blobs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b := &blobs{dir: dir, limit: MaxArchive, slots: make(chan struct{}, maxUploads)}
	b.space = func() (uint64, uint64, error) {
		var s unix.Statfs_t
		if err := unix.Statfs(dir, &s); err != nil {
			return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
		}
		return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
	}
	return b, nil
}

// room refuses what would leave the disk too full.
func (b *blobs) room(more int64) error {
	free, total, err := b.space()
	if err != nil {
		return err
	}
	if reserved := max(reservedBytes, total/reservedShare); free < reserved || free-reserved < uint64(more) {
		return api.Errorf(api.CodeFull, "the director's disk has %d MiB free, of which %d MiB stay free: too few for an archive of %d bytes; delete versions that are not needed, or ask the administrator for space",
			free>>20, reserved>>20, more)
	}
	return nil
}

// upload is an archive that has come wholly and is no blob yet.
type upload struct {
	*os.File
	size   int64
	sha256 string
}

// drop ends an upload; one that has been kept is not harmed.
func (u *upload) drop() error {
	err := os.Remove(u.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(u.Close(), err)
}

// receive reads an archive to its end. announced is its size, -1 where nobody has said it. The caller drops it.
func (b *blobs) receive(ctx context.Context, body io.Reader, announced int64) (_ *upload, err error) {
	if announced > b.limit {
		return nil, b.tooLarge()
	}
	if err := b.room(max(announced, 0)); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(b.dir, "upload-*")
	if err != nil {
		return nil, full(err)
	}
	u := &upload{File: f}
	if err := b.fill(ctx, u, sha256.New(), body, b.limit); err != nil {
		return nil, errors.Join(err, u.drop())
	}
	return u, nil
}

// fill reads a body to its end into an upload, of which sum has read what is there.
func (b *blobs) fill(ctx context.Context, u *upload, sum hash.Hash, body io.Reader, limit int64) error {
	for {
		n, err := io.CopyN(io.MultiWriter(u.File, sum), body, min(spaceEvery, limit+1-u.size))
		u.size += n
		switch {
		case u.size > limit:
			return b.tooLarge()
		case errors.Is(err, io.EOF):
			u.sha256 = hex.EncodeToString(sum.Sum(nil))
			return full(u.Sync())
		case err != nil:
			return full(fmt.Errorf("receive an archive: %w", err))
		}
		if err := errors.Join(ctx.Err(), b.room(0)); err != nil {
			return err
		}
	}
}

func (b *blobs) tooLarge() error {
	return api.Errorf(api.CodeTooLarge, "the archive has more than %d MiB; leave out what the program does not need", b.limit>>20)
}

// full says what a full disk means to the one who uploads.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return api.Errorf(api.CodeFull, "the director's disk is full; nothing was changed; free some space and try again")
	}
	return err
}

// keep makes an upload a blob, and has name write it down. When that fails, prune finds out whether it is one.
func (b *blobs) keep(u *upload, name func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	path := b.path(u.sha256)
	if _, err := os.Stat(path); err != nil {
		if err := os.Rename(u.Name(), path); err != nil {
			return full(err)
		}
		if err := syncDir(b.dir); err != nil {
			return err
		}
	}
	return name()
}

func (b *blobs) path(sum string) string { return filepath.Join(b.dir, sum) }

// open gives a blob and its size.
func (b *blobs) open(sum string) (*os.File, int64, error) {
	f, err := os.Open(b.path(sum))
	if err != nil {
		return nil, 0, fmt.Errorf("archive %s: %w", sum, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("archive %s: %w", sum, err), f.Close())
	}
	return f, info.Size(), nil
}

// prune removes the blobs that the database does not name. uploads tells whether interrupted uploads go, too, but for those
// that can go on: nobody may upload then.
func (b *blobs) prune(named func() (map[string]bool, error), uploads bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	keep, err := named()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	errs := []error{b.prunePart(maxParts)}
	for _, e := range entries {
		blob := len(e.Name()) == hex.EncodedLen(sha256.Size)
		if blob && !keep[e.Name()] || !blob && uploads && !isPart(e.Name()) {
			errs = append(errs, os.Remove(filepath.Join(b.dir, e.Name())))
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
