package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
)

const (
	receiving    = 4        // blobs at once
	spaceEvery   = 16 << 20 // bytes between two looks at the free space
	reservedDisk = 64 << 20 // bytes that stay free whatever comes, or a twentieth of the disk where that is less
)

// Put receives a blob or the rest of one. It is taken only when it is wanted, there is room, and, once it is complete, its
// SHA-256 is its name. What has come of one that breaks off stays for the next try.
func (s *Store) Put(ctx context.Context, digest string, part api.BlobPart, body io.Reader) error {
	if err := s.begin(digest, part); err != nil {
		return err
	}
	defer s.end(digest)
	have, err := s.Find(digest)
	if have.Complete {
		return nil
	}
	if err != nil && api.CodeFrom(err) != api.CodeNotFound {
		return err
	}
	if part.Offset > have.Length {
		return api.Errorf(api.CodeConflict, "the part begins at byte %d, and %s has %d bytes of blob %s", part.Offset, s.who, have.Length, digest)
	}
	name := s.path(digest) + partSuffix
	if err := s.receive(ctx, name, part, body); err != nil {
		return err
	}
	sum, err := digestOf(name)
	if err != nil {
		return err
	}
	if sum != digest {
		return errors.Join(api.InField("sha256", "what has come has the SHA-256 %s, not %s; send it again from its beginning", sum, digest), os.Remove(name))
	}
	if err := os.Rename(name, s.path(digest)); err != nil {
		return s.full(fmt.Errorf("keep blob %s: %w", digest, err))
	}
	return syncDirectory(s.dir)
}

func (s *Store) begin(digest string, part api.BlobPart) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.wants[digest]:
		return api.Errorf(api.CodeNotFound, "the spec of %s names no blob %.80q", s.who, digest)
	case part.Total < 0 || part.Total > api.MaxBlob:
		return api.Errorf(api.CodeTooLarge, "a blob of %d bytes; at most %d are allowed", part.Total, int64(api.MaxBlob))
	case part.Offset < 0 || part.Offset > part.Total:
		return api.InField("Content-Range", "the part begins at byte %d of %d", part.Offset, part.Total)
	case s.comes[digest]:
		return api.Errorf(api.CodeConflict, "blob %s is being sent already", digest)
	case len(s.comes) >= receiving:
		return api.Errorf(api.CodeThrottled, "%d blobs are being sent to %s already", receiving, s.who)
	}
	s.comes[digest] = true
	return nil
}

// end notes that nothing of a blob comes any more. One that no spec names since it came is removed.
func (s *Store) end(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.comes, digest)
	if !s.wants[digest] {
		os.Remove(s.path(digest)) // what stays is removed by the next Prune
		os.Remove(s.path(digest) + partSuffix)
	}
}

func (s *Store) receive(ctx context.Context, name string, part api.BlobPart, body io.Reader) (err error) {
	if err := s.room(part.Total - part.Offset); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return s.full(fmt.Errorf("receive blob: %w", err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(part.Offset); err != nil {
		return s.full(fmt.Errorf("receive blob: %w", err))
	}
	if _, err := f.Seek(part.Offset, io.SeekStart); err != nil {
		return fmt.Errorf("receive blob: %w", err)
	}
	for left := part.Total - part.Offset; left > 0; {
		if err := errors.Join(ctx.Err(), s.room(0)); err != nil {
			return err
		}
		n, err := io.CopyN(f, body, min(left, spaceEvery))
		left -= n
		if errors.Is(err, io.EOF) {
			return api.Errorf(api.CodeInvalid, "the blob ends %d bytes too early; send the rest", left)
		}
		if err != nil {
			return s.full(fmt.Errorf("receive blob: %w", err))
		}
	}
	if n, _ := body.Read(make([]byte, 1)); n > 0 {
		return api.Errorf(api.CodeTooLarge, "the blob has more than the %d bytes that were announced", part.Total)
	}
	return s.full(f.Sync())
}

// room refuses what would leave the disk too full for the machine to work.
func (s *Store) room(more int64) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(s.dir, &disk); err != nil {
		return fmt.Errorf("free space of %s: %w", s.dir, err)
	}
	free, total := int64(disk.Bavail)*disk.Bsize, int64(disk.Blocks)*disk.Bsize
	if free-more < min(reservedDisk, total/20) {
		return api.Errorf(api.CodeFull, "the disk of %s has %d bytes free, too few for %d more", s.who, free, more)
	}
	return nil
}

// full makes an error that is for want of space one that says whose disk it is.
func (s *Store) full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return api.Errorf(api.CodeFull, "the disk of %s is full: %v", s.who, err)
	}
	return err
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
