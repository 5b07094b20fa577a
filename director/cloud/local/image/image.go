// Package image keeps the images that were published to a local cloud, as files in a directory.
//
// An image is a directory that appears as a whole, when its content has been verified and is on the disk. The package knows
// nothing of machines, nor of what is in an image.
package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/shelf"
)

// Of the disk with the images, this much stays free whatever is added: the director's database may be on it.
const (
	reservedBytes = 512 << 20
	reservedShare = 10 // one part of so many
	lookEvery     = 64 << 20
)

const content = "content"

// Store is the directory with the images. Its methods may be called from many goroutines, Tidy before all others.
type Store struct {
	Dir   string
	Space func() (free, total uint64, err error) // of the disk; nil asks it
}

func (s Store) shelf() shelf.Shelf[cloud.Image] {
	return shelf.Shelf[cloud.Image]{Dir: s.Dir, Kind: "image", Place: func(string) {}}
}

// Tidy makes the directory, and removes what was being added or removed when the last director ended.
func (s Store) Tidy() error { return s.shelf().Tidy() }

// List gives the images, the oldest first.
func (s Store) List() ([]cloud.Image, error) {
	return s.shelf().List(func(a, b cloud.Image) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
}

// Find gives an image and the file with its content. The error for one that is not there wraps fs.ErrNotExist.
func (s Store) Find(id cloud.ImageID) (i cloud.Image, file string, err error) {
	if i, err = s.shelf().Find(string(id)); err != nil {
		return i, "", err
	}
	return i, filepath.Join(s.Dir, string(id), content), nil
}

// Add keeps an image. What fails leaves nothing.
func (s Store) Add(ctx context.Context, spec cloud.ImageSpec, from io.Reader) (cloud.Image, error) {
	if err := s.room(spec.Size); err != nil {
		return cloud.Image{}, err
	}
	id := s.shelf().NewID()
	i := cloud.Image{ImageSpec: spec, ID: cloud.ImageID(id), Created: time.Now().UTC().Truncate(time.Millisecond)}
	if err := s.shelf().Add(id, i, func(dir string) error { return s.fill(ctx, filepath.Join(dir, content), spec.Content(from)) }); err != nil {
		return i, fmt.Errorf("add an image: %w", err)
	}
	return i, nil
}

// fill writes a file to the disk. It looks again and again whether the disk still has room, for others write to it as well.
func (s Store) fill(ctx context.Context, file string, from io.Reader) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	from = reader{ctx, from}
	for {
		_, err := io.CopyN(f, from, lookEvery)
		if errors.Is(err, io.EOF) {
			return f.Sync()
		}
		if err == nil {
			err = s.room(0)
		}
		if err != nil {
			return err
		}
	}
}

// room refuses what would leave the disk too full.
func (s Store) room(more int64) error {
	space := s.Space
	if space == nil {
		space = s.disk
	}
	free, total, err := space()
	if err != nil {
		return err
	}
	if reserved := max(reservedBytes, total/reservedShare); free < reserved || free-reserved < uint64(more) {
		return fmt.Errorf("the disk of %s has %d MiB free, of which %d MiB stay free: too few for an image of %d MiB; remove images that are not needed: %w",
			s.Dir, free>>20, reserved>>20, more>>20, unix.ENOSPC)
	}
	return nil
}

func (s Store) disk() (free, total uint64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.Dir, &fs); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", s.Dir, err)
	}
	return fs.Bavail * uint64(fs.Bsize), fs.Blocks * uint64(fs.Bsize), nil
}

// Remove removes an image. One that is not there is no error.
func (s Store) Remove(id cloud.ImageID) error { return s.shelf().Remove(string(id)) }

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
