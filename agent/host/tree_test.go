package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTree(t *testing.T) *Tree {
	t.Helper()
	tree, err := openTree(filepath.Join(t.TempDir(), "tree"), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

func TestWriteTellsWhatChanged(t *testing.T) {
	tree := newTree(t)
	for i, step := range []struct {
		data    string
		mode    fs.FileMode
		changed bool
	}{
		{"one", 0o644, true}, {"one", 0o644, false}, {"two", 0o644, true}, {"two", 0o600, true}, {"two", 0o600, false}, {"", 0o600, true},
	} {
		changed, err := tree.Write("file", []byte(step.data), step.mode)
		if err != nil || changed != step.changed {
			t.Errorf("step %d: Write = %t, %v; want %t", i, changed, err, step.changed)
		}
		info, err := os.Stat(tree.Path("file"))
		if err != nil || info.Mode() != step.mode {
			t.Errorf("step %d: mode %v, %v; want %v", i, info.Mode(), err, step.mode)
		}
		data, err := tree.Read("file", 100)
		if err != nil || string(data) != step.data {
			t.Errorf("step %d: Read = %q, %v; want %q", i, data, err, step.data)
		}
	}
	if names, err := tree.Names("."); err != nil || len(names) != 1 {
		t.Errorf("Names = %v, %v; want only the file: nothing may be left beside it", names, err)
	}
}

// An agent that was killed while it wrote leaves its file beside; the next write must take it over, even where
// somebody has put a link there.
func TestWriteAfterAKill(t *testing.T) {
	tree := newTree(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, tree.Path(".file.new")); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Write("file", []byte("data"), 0o644); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "precious" {
		t.Errorf("the file outside is %q, %v now", data, err)
	}
}

func TestNamesDoNotLeadOut(t *testing.T) {
	tree := newTree(t)
	outside := filepath.Join(filepath.Dir(tree.Dir()), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, tree.Path("absolute")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..", tree.Path("up")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../secret", "absolute", "up/secret", "/etc/passwd", "a/../../secret"} {
		if data, err := tree.Read(name, 100); err == nil {
			t.Errorf("Read(%q) = %q; want an error", name, data)
		}
		if name == "absolute" {
			continue // a write replaces the link itself
		}
		if _, err := tree.Write(name, []byte("x"), 0o644); err == nil {
			t.Errorf("Write(%q) has worked", name)
		}
		if err := tree.Remove(name); err == nil && name != "absolute" {
			if _, err := os.Stat(outside); err != nil {
				t.Errorf("Remove(%q) has removed the file outside", name)
			}
		}
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "secret" {
		t.Errorf("the file outside is %q, %v now", data, err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Path of a name that leads out has not panicked")
		}
	}()
	tree.Path("../x")
}

func TestReadIsBounded(t *testing.T) {
	tree := newTree(t)
	if _, err := tree.Write("file", make([]byte, 11), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Read("file", 10); err == nil {
		t.Error("a file of 11 bytes was read with a limit of 10")
	}
	if _, err := tree.Read("file", 11); err != nil {
		t.Error(err)
	}
	if _, err := tree.Read("none", 11); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file is %v; want fs.ErrNotExist", err)
	}
}

func TestMkdirAndRename(t *testing.T) {
	tree := newTree(t)
	if err := tree.Mkdir("a/b", 0o750, User{UID: 33, GID: 33}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(tree.Path("a/b"))
	if err != nil || info.Mode().Perm() != 0o750 {
		t.Fatalf("mode %v, %v; want 0750", info.Mode(), err)
	}
	if _, err := tree.Write("a/b/one", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := tree.Rename("a/b/one", "a/two"); err != nil {
		t.Fatal(err)
	}
	if size, err := tree.Size("a/two"); err != nil || size != 1 {
		t.Errorf("Size = %d, %v; want 1", size, err)
	}
	if names, err := tree.Names("missing"); err != nil || names != nil {
		t.Errorf("Names of a missing directory = %v, %v; want none", names, err)
	}
	free, total, err := tree.Space()
	if err != nil || free <= 0 || total < free {
		t.Errorf("Space = %d of %d, %v", free, total, err)
	}
}

// A link is another name of the file, inside the tree.
func TestLink(t *testing.T) {
	tree, err := openTree(t.TempDir(), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if _, err := tree.Write("a", []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := tree.Link("a", "b"); err != nil {
		t.Fatal(err)
	}
	if data, err := tree.Read("b", 10); err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	for _, to := range []string{"b", "../b", "none/b"} {
		if err := tree.Link("a", to); err == nil {
			t.Errorf("a link to %s is made", to)
		}
	}
}
