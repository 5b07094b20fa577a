// Package image keeps the images that were published to a local cloud, as files in a directory.
//
// An image is a directory that appears as a whole, when its content has been verified and is on the disk. The package knows
// nothing of machines, nor of what is in an image.
package image

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon"
	"conpaas/director/cloud"
)

// Of the disk with the images, this much stays free whatever is added: the director's database may be on it.
const (
	reservedBytes = 512 << 20
	reservedShare = 10 // one part of so many
	lookEvery     = 64 << 20
)

// The names of files and directories. What is partly there begins so.
const (
	noteFile    = "image.json"
	contentFile = "content"
	partly      = "partly-"
)

var idForm = regexp.MustCompile(`^image-[0-9a-f]{16}$`)

// Store is the directory with the images. Its methods may be called from many goroutines, Tidy before all others.
type Store struct {
	Dir   string
	Space func() (free, total uint64, err error) // of the disk; nil asks it
}

// Tidy makes the directory, and removes what was being added or removed when the last director ended.
func (s Store) Tidy() error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of images: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(s.Dir, partly+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		return fmt.Errorf("remove what is left of images: %w", err)
	}
	return nil
}

// List gives the images, the oldest first.
func (s Store) List() ([]cloud.Image, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the images: %w", err)
	}
	list := []cloud.Image{}
	for _, e := range entries {
		i, _, err := s.Find(cloud.ImageID(e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b cloud.Image) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// Find gives an image and the file with its content. The error for one that is not there wraps fs.ErrNotExist.
func (s Store) Find(id cloud.ImageID) (i cloud.Image, file string, err error) {
	if !idForm.MatchString(string(id)) {
		return i, "", fmt.Errorf("image %.80q: %w", id, fs.ErrNotExist)
	}
	dir := filepath.Join(s.Dir, string(id))
	text, err := os.ReadFile(filepath.Join(dir, noteFile))
	if err == nil {
		err = json.Unmarshal(text, &i)
	}
	if err != nil {
		return i, "", fmt.Errorf("read image %s: %w", id, err)
	}
	return i, filepath.Join(dir, contentFile), nil
}

// Add keeps an image. What fails leaves nothing.
func (s Store) Add(ctx context.Context, spec cloud.ImageSpec, from io.Reader) (_ cloud.Image, err error) {
	if err := s.room(spec.Size); err != nil {
		return cloud.Image{}, err
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	i := cloud.Image{ImageSpec: spec, ID: cloud.ImageID("image-" + hex.EncodeToString(b[:])), Created: time.Now().UTC().Truncate(time.Millisecond)}
	part := filepath.Join(s.Dir, partly+string(i.ID))
	if err := os.Mkdir(part, 0o700); err != nil {
		return i, fmt.Errorf("add an image: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(part))
		}
	}()
	if err := s.fill(ctx, filepath.Join(part, contentFile), spec.Content(from)); err != nil {
		return i, fmt.Errorf("add an image: %w", err)
	}
	note, err := json.Marshal(i)
	if err == nil {
		err = daemon.WriteFile(filepath.Join(part, noteFile), note, 0o600)
	}
	if err == nil {
		err = os.Rename(part, filepath.Join(s.Dir, string(i.ID)))
	}
	if err != nil {
		return i, fmt.Errorf("add an image: %w", err)
	}
	return i, flush(s.Dir)
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
func (s Store) Remove(id cloud.ImageID) error {
	if !idForm.MatchString(string(id)) {
		return nil
	}
	part := filepath.Join(s.Dir, partly+string(id))
	err := os.Rename(filepath.Join(s.Dir, string(id)), part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err = errors.Join(err, os.RemoveAll(part)); err != nil {
		return fmt.Errorf("remove image %s: %w", id, err)
	}
	return nil
}

// flush writes the names in a directory to the disk.
func flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("add an image: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

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
