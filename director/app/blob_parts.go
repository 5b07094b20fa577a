package app

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
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"conpaas/client/api"
	"conpaas/director/store"
)

// Bounds of uploads that have broken off.
const (
	maxParts = 8              // of all users
	partAge  = 24 * time.Hour // since the last byte came
)

const partPrefix = "part-"

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// parts are the uploads that go on after they have broken off; their files are named by partName.
type parts struct {
	mu   sync.Mutex
	busy map[string]bool // by name: being received
}

// partName names the upload of an archive for a service.
func partName(s store.Service, sum string) string {
	return fmt.Sprintf("%s%d-%d-%s", partPrefix, s.Application, s.ID, sum)
}

func isPart(name string) bool { return strings.HasPrefix(name, partPrefix) }

// hold makes a part the caller's until release; false: it is somebody else's now.
func (p *parts) hold(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[name] {
		return false
	}
	if p.busy == nil {
		p.busy = make(map[string]bool)
	}
	p.busy[name] = true
	return true
}

func (p *parts) release(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, name)
}

// part tells how much of an archive is there, and refuses one of which the rest would not be taken.
func (b *blobs) part(name string, size int64) (length int64, err error) {
	info, err := os.Stat(b.path(name))
	if err == nil {
		length = info.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if size > b.limit {
		return 0, b.tooLarge()
	}
	return length, b.room(max(size-length, 0))
}

// receivePart reads the rest of an archive whose SHA-256 is sum. What has come of one that breaks off stays for the
// next try; the caller drops one that has come wholly.
func (b *blobs) receivePart(ctx context.Context, name, sum string, offset, rest int64, body io.Reader) (_ *upload, err error) {
	if length, err := b.part(name, offset+rest); err != nil {
		return nil, err
	} else if length != offset {
		return nil, api.InField("query.offset", "%d bytes of the archive are there; go on after them", length)
	}
	if err := b.prunePart(maxParts - 1); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(b.path(name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, full(err)
	}
	u := &upload{File: f, size: offset}
	seen := sha256.New()
	if _, err := io.Copy(seen, f); err != nil {
		return nil, errors.Join(fmt.Errorf("read what is there of an archive: %w", err), u.drop())
	}
	err = b.fill(ctx, u, seen, body, offset+rest)
	switch {
	case err == nil && u.size < offset+rest:
		err = api.Errorf(api.CodeInvalid, "only %d of %d bytes have come; send the rest", u.size, offset+rest)
		return nil, errors.Join(err, u.Close())
	case err == nil && u.sha256 != sum:
		err = api.InField("query.sha256", "the SHA-256 of what has come is %s; send it again", u.sha256)
		return nil, errors.Join(err, u.drop())
	case api.CodeFrom(err) == api.CodeFull: // what is kept of it would be in the way
		return nil, errors.Join(err, u.drop())
	case err != nil:
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// prunePart removes the parts to which nothing has come for long, and the oldest beyond most.
func (b *blobs) prunePart(most int) error {
	files, err := filepath.Glob(b.path(partPrefix + "*"))
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
	b.parts.mu.Lock()
	defer b.parts.mu.Unlock()
	var errs []error
	for i, p := range all {
		if (i >= most || time.Since(p.last) > partAge) && !b.parts.busy[filepath.Base(p.path)] {
			errs = append(errs, os.Remove(p.path))
		}
	}
	return errors.Join(errs...)
}

// CodeUploaded tells how much of an archive of size bytes is there of an upload that has broken off. An archive that would not be
// taken is refused here, before it is sent.
func (d *Director) CodeUploaded(ctx context.Context, a Actor, ref, service, sum string, size int64) (api.CodeUpload, error) {
	out := api.CodeUpload{SHA256: sum}
	s, err := d.hosting(ctx, a, ref, service, toOperate, true)
	if err != nil {
		return out, err
	}
	if !digest.MatchString(sum) {
		return out, api.InField("path.sha256", "%.80q is no SHA-256 in lower case", sum)
	}
	out.Length, err = d.blobs.part(partName(s, sum), size)
	return out, err
}

// receiveCode reads an archive, or the rest of one.
func (d *Director) receiveCode(ctx context.Context, s store.Service, in CodeUpload) (u *upload, err error) {
	if in.SHA256 == "" {
		return d.blobs.receive(ctx, in.Body, in.Size)
	}
	switch {
	case !digest.MatchString(in.SHA256):
		return nil, api.InField("query.sha256", "%.80q is no SHA-256 in lower case", in.SHA256)
	case in.Offset < 0 || in.Size < 0 || in.Offset > MaxArchive || in.Size > MaxArchive:
		return nil, api.InField("query.offset", "say where the part begins, and by Content-Length how long it is")
	}
	name := partName(s, in.SHA256)
	if !d.blobs.parts.hold(name) {
		return nil, api.Errorf(api.CodeConflict, "the archive is being uploaded already; wait, or break that off")
	}
	defer d.blobs.parts.release(name)
	return d.blobs.receivePart(ctx, name, in.SHA256, in.Offset, in.Size, in.Body)
}
