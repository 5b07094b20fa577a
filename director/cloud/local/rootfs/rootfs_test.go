package rootfs_test

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/mount"
	"conpaas/director/cloud/local/rootfs"
)

var minimal = []tar.Header{
	{Typeflag: tar.TypeReg, Name: "bin/sh", Mode: 0o755},
	{Typeflag: tar.TypeReg, Name: "etc/hosts", Mode: 0o644, Uid: 3, Gid: 4},
}

// file writes a file of the test.
func file(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestImageOnce: a tar file is unpacked once, a copy with another name gives the same image, another content another.
func TestImageOnce(t *testing.T) {
	s := rootfs.Store{Dir: filepath.Join(t.TempDir(), "images")}
	source := file(t, filepath.Join(t.TempDir(), "a.tar"), archive(t, minimal...))
	first, err := s.Image(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	mark := file(t, filepath.Join(first.Dir, "mark"), nil)
	copied := file(t, filepath.Join(t.TempDir(), "b.tar"), archive(t, minimal...))
	for _, path := range []string{source, copied, source} {
		if again, err := s.Image(t.Context(), path); err != nil || again != first {
			t.Errorf("image of %s: %+v, %v; want %+v", path, again, err, first)
		}
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the image was unpacked again: %v", err)
	}
	file(t, source, archive(t, append(minimal, tar.Header{Typeflag: tar.TypeReg, Name: "new"})...))
	second, err := s.Image(t.Context(), source)
	if err != nil || second == first {
		t.Errorf("the new content gives %+v, %v", second, err)
	}
	partly := filepath.Join(s.Dir, "partly-1")
	if err := errors.Join(os.Mkdir(partly, 0o700), s.Tidy(map[string]bool{second.Digest: true})); err != nil {
		t.Fatal(err)
	}
	for path, there := range map[string]bool{partly: false, first.Dir: false, second.Dir: true} {
		if _, err := os.Stat(path); there != (err == nil) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestImageWrong: every wrong source is an error that says so, and leaves nothing.
func TestImageWrong(t *testing.T) {
	s := rootfs.Store{Dir: filepath.Join(t.TempDir(), "images")}
	dir := t.TempDir()
	for _, source := range []string{
		filepath.Join(dir, "missing"), dir, file(t, filepath.Join(dir, "text"), []byte("no image")),
		file(t, filepath.Join(dir, "no-shell"), archive(t, minimal[1])),
	} {
		if image, err := s.Image(t.Context(), source); !errors.Is(err, rootfs.ErrImage) {
			t.Errorf("image of %s: %+v, %v; want %v", source, image, err, rootfs.ErrImage)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Image(ctx, file(t, filepath.Join(dir, "good"), archive(t, minimal...))); !errors.Is(err, context.Canceled) {
		t.Errorf("image with a cancelled context: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(s.Dir, "*", "*")); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// TestMachine: a machine sees the image with moved owners and its own files over it, writes do not reach the image, and
// the files of one machine are not those of another.
func TestMachine(t *testing.T) {
	top := t.TempDir()
	t.Cleanup(func() { _, _ = mount.Clear(top) })
	ids := rootfs.Range{First: 1_900_000_000, Size: 65536}
	source := filepath.Join(top, "image")
	if err := errors.Join(os.MkdirAll(filepath.Join(source, "bin"), 0o755), os.MkdirAll(filepath.Join(source, "etc"), 0o755)); err != nil {
		t.Fatal(err)
	}
	file(t, filepath.Join(source, "bin/sh"), nil)
	file(t, filepath.Join(source, "etc/hosts"), []byte("of the image"))
	if err := os.Symlink("/run/resolv.conf", filepath.Join(source, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	image, err := rootfs.Store{Dir: filepath.Join(top, "images")}.Image(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	lower := filepath.Join(top, "lower")
	for range 2 {
		if err := image.Share(t.Context(), lower, ids); err != nil {
			t.Fatal(err)
		}
	}
	machines := make([]rootfs.Overlay, 2)
	for i := range machines {
		dir := filepath.Join(top, string(rune('a'+i)))
		machines[i] = rootfs.Overlay{Lower: lower, Dir: dir, Point: filepath.Join(top, "run", string(rune('a'+i))), IDs: ids}
	}
	m := machines[0]
	if err := errors.Join(m.Write("/etc/resolv.conf", []byte("own"), 0o644), m.Write("/var/lib/conpaas/user-data", []byte("#!"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, m := range append(machines, m) { // the first one twice
		if err := m.Mount(); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"etc/hosts": "of the image", "etc/resolv.conf": "own", "var/lib/conpaas/user-data": "#!"} {
		path := filepath.Join(m.Point, name)
		var stat unix.Stat_t
		err := unix.Lstat(path, &stat)
		if got, err2 := os.ReadFile(path); string(got) != want || stat.Uid != ids.First || stat.Gid != ids.First || err != nil || err2 != nil {
			t.Errorf("%s is %q of %d:%d, %v, %v", name, got, stat.Uid, stat.Gid, err, err2)
		}
	}
	file(t, filepath.Join(m.Point, "bin/sh"), []byte("changed"))
	for _, other := range []string{source, machines[1].Point} {
		if got, err := os.ReadFile(filepath.Join(other, "bin/sh")); err != nil || len(got) != 0 {
			t.Errorf("%s/bin/sh is now %q, %v", other, got, err)
		}
	}
	if err := os.WriteFile(filepath.Join(lower, "bin/sh"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("write to the shared image: %v, want %v", err, unix.EROFS)
	}
	for _, m := range append(machines, m) {
		if err := m.Unmount(); err != nil {
			t.Error(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(m.Dir, "upper/bin/sh")); err != nil || string(got) != "changed" {
		t.Errorf("after the unmount the machine's own file is %q, %v", got, err)
	}
}

// TestCheckPath refuses what would split an option of the overlay.
func TestCheckPath(t *testing.T) {
	for path, good := range map[string]bool{"/var/lib/a b/c-d_e.f": true, "/a:b": false, "/a,b": false, `/a\b`: false, "/a\nb": false} {
		if err := rootfs.CheckPath(path); (err == nil) != good {
			t.Errorf("%q: %v", path, err)
		}
	}
	if err := rootfs.Mappable(t.Context(), t.TempDir(), rootfs.Range{First: 1_900_000_000, Size: 65536}); err != nil {
		t.Error(err)
	}
	if err := rootfs.Mappable(t.Context(), "/proc/self", rootfs.Range{First: 1_900_000_000, Size: 65536}); err == nil || !strings.Contains(err.Error(), "ext4") {
		t.Errorf("a file system without moved ids: %v", err)
	}
}
