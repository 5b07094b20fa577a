package rootfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// diskName is the file of a disk image in its directory.
const diskName = "disk"

// Disk keeps a copy of a disk image, unless there is one of the same content, and gives its digest: the copy does not
// change under those who read it.
func (s Store) Disk(ctx context.Context, source string) (digest string, err error) {
	if digest, err = s.digest(ctx, source); err != nil {
		return "", err
	}
	if _, err := os.Stat(s.DiskFile(digest)); err == nil {
		return digest, nil
	}
	part, err := os.MkdirTemp(s.Dir, partly)
	if err != nil {
		return "", fmt.Errorf("copy %s: %w", source, err)
	}
	err = sparse(ctx, source, filepath.Join(part, diskName))
	if err == nil {
		err = flush(part)
	}
	if err == nil {
		err = os.Rename(part, filepath.Join(s.Dir, digest))
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("copy %s: %w", source, err), os.RemoveAll(part))
	}
	return digest, nil
}

// DiskFile is the copy of the disk image with a digest.
func (s Store) DiskFile(digest string) string { return filepath.Join(s.Dir, digest, diskName) }

// sparse copies a file and leaves out blocks of zeros.
func sparse(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrImage, err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	block, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	var at int64
	for err == nil {
		var n int
		n, err = io.ReadFull(reader{ctx, in}, block)
		if !bytes.Equal(block[:n], zeros[:n]) {
			if _, bad := out.WriteAt(block[:n], at); bad != nil {
				err = bad
			}
		}
		at += int64(n)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = out.Truncate(at)
	}
	return errors.Join(err, out.Close())
}
