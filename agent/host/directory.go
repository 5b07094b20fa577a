package host

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Directory opens a directory inside the tree for what works on a whole one, for example an extraction.
func (t *Tree) Directory(name string) (*os.Root, error) {
	root, err := t.root.OpenRoot(name)
	return root, t.wrap("open directory", name, err)
}

// Directories lists the directories in a directory, without following links. A missing one has none.
func (t *Tree) Directories(name string) ([]string, error) {
	entries, err := fs.ReadDir(t.root.FS(), name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, t.wrap("list", name, err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Link gives a file a second name. A link is linked itself.
func (t *Tree) Link(from, to string) error { return t.wrap("link", to, t.root.Link(from, to)) }

// Flush brings everything that was written to the file system of a directory on disk.
func (t *Tree) Flush(name string) error {
	d, err := t.root.Open(name)
	if err != nil {
		return t.wrap("open", name, err)
	}
	defer d.Close()
	return t.wrap("flush", name, unix.Syncfs(int(d.Fd())))
}
