package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// entry is one member of an archive that a test makes.
type entry struct {
	name, body, link string
	kind             byte // of tar
	mode             int64
}

func file(name, body string) entry { return entry{name: name, body: body, kind: tar.TypeReg} }

func makeTar(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: e.mode, Size: int64(len(e.body)), Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func makeZip(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		mode := fs.FileMode(e.mode).Perm()
		switch e.kind {
		case tar.TypeSymlink:
			mode, e.body = mode|fs.ModeSymlink, e.link
		case tar.TypeChar:
			mode |= fs.ModeDevice | fs.ModeCharDevice
		case tar.TypeDir:
			mode |= fs.ModeDir
			h.Name += "/"
		}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if e.kind == tar.TypeDir {
			continue
		}
		if _, err := f.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func compress(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func check(data []byte, format string, l Limits) (Summary, error) {
	return Check(bytes.NewReader(data), int64(len(data)), format, l)
}

// extract unpacks into a directory whose surroundings it then looks at.
func extract(t testing.TB, data []byte, format string, l Limits) (dir string, err error) {
	t.Helper()
	outer := t.TempDir()
	dir = filepath.Join(outer, "in")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	err = Extract(t.Context(), bytes.NewReader(data), int64(len(data)), format, root, l)
	if found, e := os.ReadDir(outer); e != nil || len(found) != 1 {
		t.Errorf("beside the directory there is %v, %v", found, e)
	}
	return dir, err
}

// tree gives what lies in a directory: names with mode and content or target.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			text, err = os.Readlink(path)
			all[name] = "-> " + text
			return err
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = " " + string(data)
		}
		all[name] = fmt.Sprintf("%o%s", info.Mode()&0o7777, text)
		if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestGoodArchives(t *testing.T) {
	entries := []entry{
		{name: "./", kind: tar.TypeDir, mode: 0o700},
		{name: "./index.php", body: "<?php", kind: tar.TypeReg, mode: 0o6600},
		{name: "bin/run", body: "#!/bin/sh", kind: tar.TypeReg, mode: 0o4711},
		{name: "lib/a/", kind: tar.TypeDir, mode: 0o2700},
		{name: "lib//a/ü.php", body: "x", kind: tar.TypeReg, mode: 0o600},
		{name: "lib/", kind: tar.TypeDir, mode: 0o1777},
		{name: "lib/", kind: tar.TypeDir},
		{name: "lib/l", link: "../index.php", kind: tar.TypeSymlink},
		{name: "lib/here", link: ".", kind: tar.TypeSymlink},
		{name: "hard", link: "./index.php", kind: tar.TypeLink},
	}
	want := map[string]string{
		"index.php": "644 <?php", "bin": "755", "bin/run": "755 #!/bin/sh", "lib": "755", "lib/a": "755", "lib/a/ü.php": "644 x",
		"lib/l": "-> ../index.php", "lib/here": "-> .", "hard": "644 <?php",
	}
	data := makeTar(t, entries...)
	s, err := check(data, Tar, DefaultLimits())
	if err != nil || s.Files != 3 || s.Links != 3 || s.Bytes != 15 || !slices.Equal(s.Top, []string{"bin", "hard", "index.php", "lib"}) {
		t.Errorf("%+v, %v", s, err)
	}
	dir, err := extract(t, data, Tar, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// Archives of the real programs, in every format.
func TestRealPrograms(t *testing.T) {
	src := t.TempDir()
	if err := os.MkdirAll(filepath.Join(src, "app/views"), 0o755); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("a line of text that repeats\n", 50_000)
	for name, text := range map[string]string{"index.php": "<?php phpinfo();", "app/views/ä b.phtml": "<p>", "app/big.txt": big} {
		if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("app/big.txt", filepath.Join(src, "link")); err != nil {
		t.Fatal(err)
	}
	want := tree(t, src)
	for i, text := range want { // modes become plain
		want[i] = strings.Replace(text, "640 ", "644 ", 1)
	}
	for format, command := range map[string][]string{
		Tar:      {"tar", "--format=gnu", "-cf", "OUT", "."},
		TarGzip:  {"tar", "-czf", "OUT", "index.php", "app", "link"},
		TarBzip2: {"tar", "-cjf", "OUT", "."},
		TarXZ:    {"tar", "-cJf", "OUT", "."},
		Zip:      {"zip", "-qry", "OUT", "."},
	} {
		t.Run(format, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "a."+format)
			for i, a := range command {
				if a == "OUT" {
					command[i] = out
				}
			}
			c := exec.Command(command[0], command[1:]...)
			c.Dir = src
			if text, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v: %s", command, err, text)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := Format("whatever", data[:min(len(data), HeadBytes)]); got != format {
				t.Fatalf("the format is %q, %v", got, err)
			}
			if _, err := check(data, format, DefaultLimits()); err != nil {
				t.Fatal(err)
			}
			dir, err := extract(t, data, format, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if got := tree(t, dir); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got  %.300v\nwant %.300v", got, want)
			}
			// Cut short, it is refused.
			if _, err := check(data[:len(data)/2], format, DefaultLimits()); err == nil {
				t.Error("half of it was let through")
			}
		})
	}
}

func TestFormatRefuses(t *testing.T) {
	for _, head := range [][]byte{nil, []byte("<?php"), bytes.Repeat([]byte{0}, 512), []byte("Rar!\x1a\x07")} {
		if f, err := Format("x.tar.gz", head); err == nil || !strings.Contains(err.Error(), "x.tar.gz") || !strings.Contains(err.Error(), "send a tar") {
			t.Errorf("%.10q is %q, %v", head, f, err)
		}
	}
}

func TestExtractEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	data := makeTar(t, file("a", "b"))
	if err := Extract(ctx, bytes.NewReader(data), int64(len(data)), Tar, root, small()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	// A name that is taken is an error of the place, and is not overwritten.
	if err := root.WriteFile("a", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = Extract(t.Context(), bytes.NewReader(data), int64(len(data)), Tar, root, small())
	if old, _ := root.ReadFile("a"); !errors.Is(err, fs.ErrExist) || errors.As(err, new(*Error)) || string(old) != "old" {
		t.Errorf("%v, %q", err, old)
	}
}

// Whatever comes, it ends, stays inside, and the extraction says what the check says.
func FuzzArchive(f *testing.F) {
	seeds := []entry{file("index.php", "<?php"), {name: "d", kind: tar.TypeDir}, {name: "d/l", link: "../index.php", kind: tar.TypeSymlink}}
	f.Add(makeTar(f, seeds...), byte(0))
	f.Add(compress(f, makeTar(f, seeds...)), byte(1))
	f.Add([]byte("BZh91AY&SY"), byte(2))
	f.Add([]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3"), byte(3))
	f.Add(makeZip(f, seeds...), byte(4))
	f.Fuzz(func(t *testing.T, data []byte, which byte) {
		format := []string{Tar, TarGzip, TarBzip2, TarXZ, Zip}[which%5]
		_, err := check(data, format, small())
		_, again := extract(t, data, format, small())
		if (err == nil) != (again == nil) {
			t.Errorf("the check says %v, the extraction %v", err, again)
		}
	})
}
