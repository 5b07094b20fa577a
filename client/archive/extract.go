package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// outside is an error of the place that is extracted to, not of the archive.
type outside struct{ error }

func (o outside) Unwrap() error { return o.error }

// Extract unpacks an archive into root, which is to be empty. Files become 0644 or 0755, directories 0755, all of
// the caller's user; owners, times and other bits of the archive are dropped. An *Error is about the archive,
// another one about the place. What was extracted before an error stays for the caller to remove.
func Extract(ctx context.Context, r io.ReaderAt, size int64, format string, root *os.Root, l Limits) error {
	return walk(ctx, r, size, format, l, &extractor{root: root})
}

type extractor struct {
	root *os.Root
}

const directoryMode = 0o755

// directory gives its mode by Chmod, which the umask does not cut.
func (e *extractor) directory(name string) error {
	if err := e.parent(name); err != nil {
		return err
	}
	err := e.root.Mkdir(name, directoryMode)
	if err == nil || errors.Is(err, fs.ErrExist) { // what is there is a directory: the walk has seen to that
		err = e.root.Chmod(name, directoryMode)
	}
	return place(name, err)
}

func (e *extractor) parent(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	_, err := e.root.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return e.directory(dir)
	}
	return place(name, err)
}

func (e *extractor) file(name string, executable bool, body io.Reader) (err error) {
	if err := e.parent(name); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	f, err := e.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return place(name, err)
	}
	defer func() { err = errors.Join(err, place(name, f.Close())) }()
	if _, err := io.Copy(onDisk{f, name}, body); err != nil {
		return err
	}
	return place(name, f.Chmod(mode))
}

func (e *extractor) symlink(name, target string) error {
	if err := e.parent(name); err != nil {
		return err
	}
	return place(name, e.root.Symlink(target, name))
}

func (e *extractor) hardlink(name, target string) error {
	if err := e.parent(name); err != nil {
		return err
	}
	return place(name, e.root.Link(target, name))
}

// onDisk tells errors of the disk from those of the archive.
type onDisk struct {
	f    *os.File
	name string
}

func (d onDisk) Write(p []byte) (int, error) {
	n, err := d.f.Write(p)
	return n, place(d.name, err)
}

func place(name string, err error) error {
	if err == nil {
		return nil
	}
	return outside{fmt.Errorf("extract %.200q: %w", name, err)}
}
