package blob

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"conpaas/client/api"
)

// Bounds of uploads that have broken off.
const (
	maxParts = 8              // of all users
	partAge  = 24 * time.Hour // since the last byte came
)

const partPrefix = "part-"

// parts are the uploads that go on after they have broken off; their files are named by PartName.
type parts struct {
	mu   sync.Mutex
	busy map[string]bool // by name: being received
}

// PartName names the upload of an archive with that SHA-256 for an owner, which has no "-" at its ends.
func PartName(owner, sum string) string { return partPrefix + owner + "-" + sum }

func isPart(name string) bool { return strings.HasPrefix(name, partPrefix) }

// Hold makes a part the caller's until Release; false: it is somebody else's now.
func (d *Dir) Hold(name string) bool {
	d.parts.mu.Lock()
	defer d.parts.mu.Unlock()
	if d.parts.busy[name] {
		return false
	}
	if d.parts.busy == nil {
		d.parts.busy = make(map[string]bool)
	}
	d.parts.busy[name] = true
	return true
}

// Release ends what Hold has begun.
func (d *Dir) Release(name string) {
	d.parts.mu.Lock()
	defer d.parts.mu.Unlock()
	delete(d.parts.busy, name)
}

// Part tells how much of an archive is there, and refuses one of which the rest would not be taken.
func (d *Dir) Part(name string, size int64) (length int64, err error) {
	info, err := os.Stat(d.path(name))
	if err == nil {
		length = info.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if size > d.limit {
		return 0, d.tooLarge()
	}
	return length, d.room(max(size-length, 0))
}

// ReceivePart reads the rest of an archive whose SHA-256 is sum. What has come of one that breaks off stays for the
// next try; the caller drops one that has come wholly.
func (d *Dir) ReceivePart(ctx context.Context, name, sum string, offset, rest int64, body io.Reader) (_ *Upload, err error) {
	if length, err := d.Part(name, offset+rest); err != nil {
		return nil, err
	} else if length != offset {
		return nil, api.InField("query.offset", "%d bytes of the archive are there; go on after them", length)
	}
	if err := d.prunePart(maxParts - 1); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, full(err)
	}
	u := &Upload{File: f, Size: offset}
	seen := sha256.New()
	if _, err := io.Copy(seen, f); err != nil {
		return nil, errors.Join(fmt.Errorf("read what is there of an archive: %w", err), u.Drop())
	}
	err = d.fill(ctx, u, seen, body, offset+rest)
	switch {
	case err == nil && u.Size < offset+rest:
		err = api.Errorf(api.CodeInvalid, "only %d of %d bytes have come; send the rest", u.Size, offset+rest)
		return nil, errors.Join(err, u.Close())
	case err == nil && u.SHA256 != sum:
		err = api.InField("query.sha256", "the SHA-256 of what has come is %s; send it again", u.SHA256)
		return nil, errors.Join(err, u.Drop())
	case api.CodeFrom(err) == api.CodeFull: // what is kept of it would be in the way
		return nil, errors.Join(err, u.Drop())
	case err != nil:
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// prunePart removes the parts to which nothing has come for long, and the oldest beyond most.
func (d *Dir) prunePart(most int) error {
	files, err := filepath.Glob(d.path(partPrefix + "*"))
	if err != nil {
		return err
	}
	type part struct {
		path string
		last time.Time
	}
	var all []part
	for _, path := range files {
		if info, err := os.Stat(path); err == nil {
			all = append(all, part{path, info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b part) int { return cmp.Compare(b.last.UnixNano(), a.last.UnixNano()) })
	d.parts.mu.Lock()
	defer d.parts.mu.Unlock()
	var errs []error
	for i, p := range all {
		if (i >= most || time.Since(p.last) > partAge) && !d.parts.busy[filepath.Base(p.path)] {
			errs = append(errs, os.Remove(p.path))
		}
	}
	return errors.Join(errs...)
}
