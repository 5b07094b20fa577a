package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Tree is a directory that its names cannot lead out of, neither by ".." nor by a symbolic link.
type Tree struct {
	root *os.Root
	path string
}

func openTree(dir string, mode fs.FileMode) (*Tree, error) {
	if err := os.MkdirAll(dir, mode); err != nil {
		return nil, fmt.Errorf("make directory %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open directory %s: %w", dir, err)
	}
	return &Tree{root: root, path: dir}, nil
}

// Close lets go of the directory.
func (t *Tree) Close() error { return t.root.Close() }

// Dir is the absolute path of the tree itself.
func (t *Tree) Dir() string { return t.path }

// Path gives the absolute path of a name for programs that need one. It panics on a name that is not local,
// so names from outside must be checked before: use them with the other methods wherever that is possible.
func (t *Tree) Path(name string) string {
	if !filepath.IsLocal(name) {
		panic(fmt.Sprintf("host: name %q leads out of %s", name, t.path))
	}
	return filepath.Join(t.path, name)
}

// Mkdir makes a directory and those above it, and gives it mode and owner. The zero owner is root.
func (t *Tree) Mkdir(name string, mode fs.FileMode, owner User) error {
	err := t.root.MkdirAll(name, mode)
	if err == nil {
		err = t.root.Chmod(name, mode)
	}
	if err == nil && !owner.root() {
		err = t.root.Chown(name, owner.UID, owner.GID)
	}
	return t.wrap("make directory", name, err)
}

// Write replaces a file in one step, on disk when it returns, and tells whether that changed anything:
// a file that has the data and mode already is not touched.
func (t *Tree) Write(name string, data []byte, mode fs.FileMode) (changed bool, err error) {
	return t.write(name, data, mode, true)
}

// WriteVolatile is Write for what a loss of power may take or damage: it does not wait for the disk.
func (t *Tree) WriteVolatile(name string, data []byte, mode fs.FileMode) (changed bool, err error) {
	return t.write(name, data, mode, false)
}

func (t *Tree) write(name string, data []byte, mode fs.FileMode, durable bool) (changed bool, err error) {
	if info, err := t.root.Lstat(name); err == nil && info.Mode() == mode && info.Size() == int64(len(data)) {
		if old, err := t.root.ReadFile(name); err == nil && bytes.Equal(old, data) {
			return false, nil
		}
	}
	if err := t.replace(name, data, mode, durable); err != nil {
		return false, t.wrap("write", name, err)
	}
	return true, nil
}

// replace writes beside the file under a fixed name, so that a kill leaves at most one file behind, which the
// next write takes over.
func (t *Tree) replace(name string, data []byte, mode fs.FileMode, durable bool) error {
	dir, base := path.Split(filepath.ToSlash(name))
	temporary := dir + "." + base + ".new"
	if err := t.root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := t.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode) // Chmod and not OpenFile's mode, which the umask cuts
	}
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = t.root.Rename(temporary, name)
	}
	if err != nil {
		return errors.Join(err, t.root.Remove(temporary))
	}
	if !durable {
		return nil
	}
	return t.syncDir(dir)
}

func (t *Tree) syncDir(dir string) error {
	if dir == "" {
		dir = "."
	}
	d, err := t.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Read gives a file of at most limit bytes. A missing one is fs.ErrNotExist.
func (t *Tree) Read(name string, limit int64) ([]byte, error) {
	f, err := t.root.Open(name)
	if err != nil {
		return nil, t.wrap("read", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, t.wrap("read", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: it has more than %d bytes", filepath.Join(t.path, name), limit)
	}
	return data, nil
}

// OpenFile is os.OpenFile inside the tree.
func (t *Tree) OpenFile(name string, flag int, mode fs.FileMode) (*os.File, error) {
	f, err := t.root.OpenFile(name, flag, mode)
	return f, t.wrap("open", name, err)
}

// Names lists the files of a directory, without following links.
func (t *Tree) Names(dir string) ([]string, error) {
	entries, err := fs.ReadDir(t.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, t.wrap("list", dir, err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Size gives a file's size in bytes. A missing one is fs.ErrNotExist.
func (t *Tree) Size(name string) (int64, error) {
	info, err := t.root.Lstat(name)
	if err != nil {
		return 0, t.wrap("look at", name, err)
	}
	return info.Size(), nil
}

// Rename moves a file inside the tree, over one that is there.
func (t *Tree) Rename(from, to string) error {
	err := t.root.Rename(from, to)
	if err == nil {
		err = t.syncDir(path.Dir(filepath.ToSlash(to)))
	}
	return t.wrap("move "+from+" to", to, err)
}

// Remove removes a file or a whole directory; a missing one is no error.
func (t *Tree) Remove(name string) error { return t.wrap("remove", name, t.root.RemoveAll(name)) }

// Space tells how many bytes the tree's file system has free and in all.
func (t *Tree) Space() (free, total int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(t.path, &s); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", t.path, err)
	}
	return int64(s.Bavail) * s.Bsize, int64(s.Blocks) * s.Bsize, nil
}

func (t *Tree) wrap(what, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", what, filepath.Join(t.path, name), err)
}
