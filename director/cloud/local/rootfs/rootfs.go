// Package rootfs prepares the root file systems of machines: an image that all share and none can change, shown with
// the machines' user and group ids, and over it an overlay of each machine's own.
//
// It knows files and mounts, and nothing of containers, clouds or what is in an image.
package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon"
)

// ErrImage is wrapped by errors that only another image or setting can mend.
var ErrImage = errors.New("the image cannot be used")

// Image is a root file system for many machines.
type Image struct {
	Digest string // names its content, or its place where it is a directory
	Dir    string // where its files are
}

// Store keeps the images that were unpacked, each once, in a directory. Its methods must not be called at the same time.
type Store struct{ Dir string }

// known is what tells a file from its later versions without reading it.
type known struct {
	Path    string `json:"path"`
	Inode   uint64 `json:"inode"`
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"` // ctime, ns
	Digest  string `json:"digest"`
}

// Image gives the image of a source: a directory is used as it is and must not change; a tar file, plain or
// compressed with gzip, is unpacked unless its content was before.
func (s Store) Image(ctx context.Context, source string) (Image, error) {
	info, err := os.Stat(source)
	if err != nil {
		return Image{}, fmt.Errorf("%w: %w", ErrImage, err)
	}
	if info.IsDir() {
		sum := sha256.Sum256([]byte(source))
		return Image{Digest: "directory-" + hex.EncodeToString(sum[:8]), Dir: source}, shell(source)
	}
	digest, err := s.digest(ctx, source)
	if err != nil {
		return Image{}, err
	}
	return s.Known(ctx, source, digest)
}

// Known gives the image of a tar file whose SHA-256 is known, in hex.
func (s Store) Known(ctx context.Context, source, digest string) (Image, error) {
	image := Image{Digest: digest, Dir: filepath.Join(s.Dir, digest)}
	if _, err := os.Stat(image.Dir); err == nil {
		return image, nil
	}
	return image, s.unpack(ctx, source, image.Dir)
}

// Remove removes what was unpacked of a tar file with this SHA-256.
func (s Store) Remove(digest string) error {
	if err := os.RemoveAll(filepath.Join(s.Dir, digest)); err != nil {
		return fmt.Errorf("remove an image: %w", err)
	}
	return nil
}

// shell makes sure that machines can boot from the files.
func shell(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrImage, err)
	}
	defer root.Close()
	if _, err := root.Lstat("bin/sh"); err != nil {
		return fmt.Errorf("%w: %s has no bin/sh; is it a root file system?", ErrImage, dir)
	}
	return nil
}

// digest gives the SHA-256 of a file, in hex, from memory where the file is the one that was read last time.
func (s Store) digest(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrImage, err)
	}
	defer f.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return "", fmt.Errorf("read the image %s: %w", path, err)
	}
	now := known{Path: path, Inode: stat.Ino, Size: stat.Size, Changed: stat.Ctim.Nano()}
	note := filepath.Join(s.Dir, "digest.json")
	var before known
	if text, err := os.ReadFile(note); err == nil && json.Unmarshal(text, &before) == nil {
		now.Digest = before.Digest
		if now == before {
			return now.Digest, nil
		}
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, reader{ctx, f}); err != nil {
		return "", fmt.Errorf("read the image %s: %w", path, err)
	}
	now.Digest = hex.EncodeToString(hash.Sum(nil))
	text, err := json.Marshal(now)
	if err != nil {
		return "", fmt.Errorf("note the digest of %s: %w", path, err)
	}
	if err := os.MkdirAll(s.Dir, 0o711); err != nil {
		return "", fmt.Errorf("note the digest of %s: %w", path, err)
	}
	return now.Digest, daemon.WriteFile(note, text, 0o600)
}

// unpack unpacks a tar file beside dir and renames it when it is whole and on the disk.
func (s Store) unpack(ctx context.Context, path, dir string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrImage, err)
	}
	defer f.Close()
	part, err := os.MkdirTemp(s.Dir, partly)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", path, err)
	}
	err = Unpack(reader{ctx, f}, part)
	if err == nil {
		err = shell(part)
	}
	if err == nil {
		err = flush(part)
	}
	if err == nil {
		err = os.Rename(part, dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("unpack %s: %w", path, err), os.RemoveAll(part))
	}
	return nil
}

// partly begins the names of directories that are not whole.
const partly = "partly-"

// Tidy removes what a crash left half unpacked and the images that none of the given digests names.
func (s Store) Tidy(used map[string]bool) error {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tidy the images: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() && (strings.HasPrefix(e.Name(), partly) || !used[e.Name()]) {
			errs = append(errs, os.RemoveAll(filepath.Join(s.Dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// flush writes the file system of a directory to the disk.
func flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
