package rootfs

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of an image.
const (
	maxEntries = 2_000_000
	maxBytes   = 64 << 30
)

// Unpack writes the content of a tar file into an empty directory: directories, files, links, owners, modes, times and
// file capabilities. Devices, pipes and what else there may be is left out. Nothing is ever written outside dir.
func Unpack(r io.Reader, dir string) error {
	buffered := bufio.NewReaderSize(r, 1<<20)
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrImage, err)
		}
		r = z
	} else {
		r = buffered
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the directory to unpack into: %w", err)
	}
	defer root.Close()
	u := unpacking{root: root}
	end := &ending{Reader: r}
	archive := tar.NewReader(end)
	for n := 0; ; n++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) && !end.early {
			return u.finish()
		}
		if err != nil {
			return fmt.Errorf("%w: it is no tar file, plain or compressed with gzip, or it is cut off (%w)", ErrImage, err)
		}
		u.bytes += h.Size
		if n >= maxEntries || u.bytes > maxBytes {
			return fmt.Errorf("%w: more than %d entries or %d bytes", ErrImage, maxEntries, int64(maxBytes))
		}
		if err := u.entry(h, archive); err != nil {
			return fmt.Errorf("%w: entry %q: %w", ErrImage, h.Name, err)
		}
	}
}

// ending notes whether a file ends before the two empty blocks that end an archive, as one that is cut off does.
type ending struct {
	io.Reader
	early bool
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	e.early = e.early || n == 0 && errors.Is(err, io.EOF)
	return n, err
}

// unpacking is the state of one Unpack.
type unpacking struct {
	root  *os.Root
	bytes int64
	dirs  []*tar.Header // whose times are set last, because their entries change them
}

func (u *unpacking) entry(h *tar.Header, content io.Reader) error {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	if name == "" {
		name = "."
	}
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeReg, tar.TypeSymlink, tar.TypeLink:
	default:
		return nil
	}
	if err := u.place(name, h.Typeflag == tar.TypeDir); err != nil {
		return err
	}
	h.Name = name
	switch h.Typeflag {
	case tar.TypeDir:
		u.dirs = append(u.dirs, h)
		return u.directory(h)
	case tar.TypeReg:
		return u.file(h, content)
	case tar.TypeSymlink:
		return errors.Join(u.root.Symlink(h.Linkname, name), u.root.Lchown(name, h.Uid, h.Gid))
	default:
		return u.root.Link(strings.TrimPrefix(path.Clean("/"+h.Linkname), "/"), name)
	}
}

// place makes the directories above an entry and takes away an earlier entry of that name.
func (u *unpacking) place(name string, dir bool) error {
	if err := makeDirs(u.root, filepath.Dir(name), 0, 0); err != nil {
		return err
	}
	before, err := u.root.Lstat(name)
	if err != nil || dir && before.IsDir() {
		return nil // nothing is there, or what is there will do
	}
	return u.root.Remove(name)
}

// makeDirs makes the missing directories of a path, open to all whatever the umask is, and gives them an owner.
func makeDirs(root *os.Root, name string, uid, gid int) error {
	if name == "." {
		return nil
	}
	if _, err := root.Stat(name); err == nil {
		return nil
	}
	if err := makeDirs(root, filepath.Dir(name), uid, gid); err != nil {
		return err
	}
	return errors.Join(root.Mkdir(name, 0o755), root.Lchown(name, uid, gid), root.Chmod(name, 0o755))
}

func (u *unpacking) directory(h *tar.Header) error {
	if err := u.root.Mkdir(h.Name, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	d, err := u.root.Open(h.Name)
	if err != nil {
		return err
	}
	return errors.Join(dress(d, h), d.Close())
}

func (u *unpacking) file(h *tar.Header, content io.Reader) error {
	f, err := u.root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err := errors.Join(err, dress(f, h), f.Close()); err != nil {
		return err
	}
	return u.root.Chtimes(h.Name, time.Time{}, h.ModTime)
}

// dress gives an open file its owner, mode and capabilities, in the order in which none takes another away.
func dress(f *os.File, h *tar.Header) error {
	if err := f.Chown(h.Uid, h.Gid); err != nil {
		return err
	}
	if err := f.Chmod(h.FileInfo().Mode()); err != nil {
		return err
	}
	const capability = "security.capability"
	if value, ok := h.PAXRecords["SCHILY.xattr."+capability]; ok {
		return unix.Fsetxattr(int(f.Fd()), capability, []byte(value), 0)
	}
	return nil
}

// finish sets what could not be set before the last entry.
func (u *unpacking) finish() error {
	for _, h := range u.dirs {
		if err := u.root.Chtimes(h.Name, time.Time{}, h.ModTime); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
