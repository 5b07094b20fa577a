package rootfs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/rootfs"
)

// archive makes a tar file of headers; a regular file's content is its name.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if h.ModTime.IsZero() {
			h.ModTime = time.Unix(1_700_000_000, 0)
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tree describes everything below a directory.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		found[name] = info.Mode().String()
		if d.Type() == fs.ModeSymlink {
			to, err := os.Readlink(path)
			found[name] += " " + to
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestUnpack keeps owners, modes, times, links and capabilities, makes missing directories, lets the later of two
// entries win, and leaves devices out.
func TestUnpack(t *testing.T) {
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // CAP_NET_RAW, permitted and effective
	data := archive(
		t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeDir, Name: "./usr/bin/", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "bin", Linkname: "usr/bin"},
		tar.Header{Typeflag: tar.TypeReg, Name: "bin/su", Mode: 0o4755, Uid: 0, Gid: 42},
		tar.Header{Typeflag: tar.TypeReg, Name: "/usr/bin/ping", Mode: 0o755, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": capability}, Format: tar.FormatPAX},
		tar.Header{Typeflag: tar.TypeLink, Name: "usr/bin/ping4", Linkname: "./usr/bin/ping"},
		tar.Header{Typeflag: tar.TypeReg, Name: "var/log/twice", Mode: 0o600, Uid: 5, Gid: 6},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "var/log/twice", Linkname: "/etc/passwd", Uid: 7, Gid: 8},
		tar.Header{Typeflag: tar.TypeReg, Name: "etc/once", Mode: 0o600},
		tar.Header{Typeflag: tar.TypeReg, Name: "etc/once", Mode: 0o644},
		tar.Header{Typeflag: tar.TypeDir, Name: "tmp", Mode: 0o1777},
		tar.Header{Typeflag: tar.TypeChar, Name: "dev/null", Devmajor: 1, Devminor: 3},
		tar.Header{Typeflag: tar.TypeFifo, Name: "dev/pipe"},
	)
	dir := t.TempDir()
	if err := rootfs.Unpack(bytes.NewReader(data), dir); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		".": "drwxr-xr-x", "usr": "drwxr-xr-x", "usr/bin": "drwxr-xr-x", "bin": "Lrwxrwxrwx usr/bin", "usr/bin/su": "urwxr-xr-x",
		"usr/bin/ping": "-rwxr-xr-x", "usr/bin/ping4": "-rwxr-xr-x", "var": "drwxr-xr-x", "var/log": "drwxr-xr-x",
		"var/log/twice": "Lrwxrwxrwx /etc/passwd", "etc": "drwxr-xr-x", "etc/once": "-rw-r--r--", "tmp": "dtrwxrwxrwx",
	}
	got := tree(t, dir)
	for name, mode := range want {
		if got[name] != mode {
			t.Errorf("%s is %q, want %q", name, got[name], mode)
		}
		delete(got, name)
	}
	if len(got) != 0 {
		t.Errorf("also unpacked: %v", got)
	}
	var stat unix.Stat_t
	if err := unix.Lstat(filepath.Join(dir, "var/log/twice"), &stat); err != nil || stat.Uid != 7 || stat.Gid != 8 {
		t.Errorf("owner %d:%d, %v", stat.Uid, stat.Gid, err)
	}
	if err := unix.Lstat(filepath.Join(dir, "bin/su"), &stat); err != nil || stat.Gid != 42 || stat.Mtim.Sec != 1_700_000_000 {
		t.Errorf("group %d, time %d, %v", stat.Gid, stat.Mtim.Sec, err)
	}
	value := make([]byte, 64)
	if n, err := unix.Getxattr(filepath.Join(dir, "usr/bin/ping4"), "security.capability", value); err != nil || string(value[:n]) != capability {
		t.Errorf("capability %q, %v", value[:max(n, 0)], err)
	}
}

// TestUnpackCompressed reads gzip by its content, not by a name.
func TestUnpackCompressed(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Mode: 0o600})); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := rootfs.Unpack(&b, dir); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(content) != "a" {
		t.Errorf("got %q, %v", content, err)
	}
}

// TestUnpackHostile: no entry gets out of the directory, whatever its names and links say.
func TestUnpackHostile(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"dots":                  {{Typeflag: tar.TypeReg, Name: "../../outside", Mode: 0o600}},
		"absolute":              {{Typeflag: tar.TypeReg, Name: "/outside", Mode: 0o600}},
		"through absolute link": {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "OUT"}, {Typeflag: tar.TypeReg, Name: "l/outside", Mode: 0o600}},
		"through relative link": {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: ".."}, {Typeflag: tar.TypeReg, Name: "l/outside", Mode: 0o600}},
		"file over link":        {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "OUT/outside"}, {Typeflag: tar.TypeReg, Name: "l", Mode: 0o600}},
		"directory over link":   {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "OUT"}, {Typeflag: tar.TypeDir, Name: "l", Mode: 0o777}, {Typeflag: tar.TypeReg, Name: "l/outside", Mode: 0o600}},
		"hard link":             {{Typeflag: tar.TypeLink, Name: "l", Linkname: "../secret"}, {Typeflag: tar.TypeReg, Name: "l", Mode: 0o600}},
		"hard link to link":     {{Typeflag: tar.TypeSymlink, Name: "s", Linkname: "OUT/secret"}, {Typeflag: tar.TypeLink, Name: "l", Linkname: "s"}},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			dir := filepath.Join(top, "inside")
			if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(top, "secret"), []byte("secret"), 0o600)); err != nil {
				t.Fatal(err)
			}
			before := tree(t, top)["."]
			for i := range headers {
				headers[i].Linkname = strings.Replace(headers[i].Linkname, "OUT", top, 1)
			}
			err := rootfs.Unpack(bytes.NewReader(archive(t, headers...)), dir)
			for at, mode := range tree(t, top) {
				if at == "." && mode != before || at == "secret" && mode != "-rw-------" || at == "outside" {
					t.Errorf("%s is now %s (unpack: %v)", at, mode, err)
				}
			}
			if secret, err := os.ReadFile(filepath.Join(top, "secret")); err != nil || string(secret) != "secret" {
				t.Errorf("the secret is now %q, %v", secret, err)
			}
		})
	}
}

// TestUnpackBroken: what is no tar file, or only a part of one, is an error that only another image mends.
func TestUnpackBroken(t *testing.T) {
	whole := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Mode: 0o600}, tar.Header{Typeflag: tar.TypeReg, Name: "b", Mode: 0o600})
	for name, data := range map[string][]byte{
		"text": bytes.Repeat([]byte("no tar "), 200), "cut in a header": whole[:700], "cut in a file": whole[:513], "cut between files": whole[:1024], "cut before the end": whole[:2048], "cut gzip": {0x1f, 0x8b, 8},
		"xz": append([]byte{0xfd, '7', 'z', 'X', 'Z', 0}, make([]byte, 600)...),
	} {
		if err := rootfs.Unpack(bytes.NewReader(data), t.TempDir()); !errors.Is(err, rootfs.ErrImage) {
			t.Errorf("%s: %v, want %v", name, err, rootfs.ErrImage)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeReg, Name: "a/b", Mode: 0o600}))
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: ".."}, tar.Header{Typeflag: tar.TypeReg, Name: "l/x"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "inside")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = rootfs.Unpack(bytes.NewReader(data), dir)
		if entries, err := os.ReadDir(top); err != nil || len(entries) != 1 {
			t.Errorf("outside are %v, %v", entries, err)
		}
	})
}
