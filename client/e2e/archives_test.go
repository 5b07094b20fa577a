package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// member is one member of a made-up archive.
type member struct {
	name, link, text string
	kind             byte // of tar; 0: a file
}

// Archives that are not safe are refused at the upload with the member's name and what to do, whatever their format, and
// nothing of them stays.
func TestHostileArchives(t *testing.T) {
	w := newWorld(t, t.TempDir(), "process")
	t.Cleanup(w.close)
	w.start()
	w.login()
	w.cps("application", "create", "shop")
	w.cps("service", "add", "php", "shop")
	many := make([]member, 100_001)
	for i := range many {
		many[i] = member{name: fmt.Sprint("f", i)}
	}
	blobs := func() []fs.DirEntry {
		entries, err := os.ReadDir(w.path("data/blobs"))
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	for what, c := range map[string]struct {
		members []member
		want    string
		only    string // formats, "" for all
	}{
		"up":       {[]member{{name: "ok.php"}, {name: "../up.php", text: "x"}}, `member "../up.php" has .. in its name`, ""},
		"absolute": {[]member{{name: "/etc/cron.d/x", text: "x"}}, `member "/etc/cron.d/x" has an absolute name`, ""},
		"link":     {[]member{{name: "out", link: "../../../etc", kind: tar.TypeSymlink}}, `member "out"`, ""},
		"device":   {[]member{{name: "dev/null", kind: tar.TypeChar}}, `member "dev/null" is a device`, ""},
		"bomb":     {[]member{{name: "zeros", text: strings.Repeat("\x00", 40<<20)}}, "the archive becomes more than 200 times its size", "tar.gz tar.bz2 tar.xz zip"},
		"many":     {many, "more than 100000 members", "tar.gz zip"},
	} {
		for _, format := range []string{"tar", "tar.gz", "tar.bz2", "tar.xz", "zip"} {
			if c.only != "" && !strings.Contains(" "+c.only+" ", " "+format+" ") {
				continue
			}
			name := what + "." + format
			w.write(name, string(pack(t, format, c.members)))
			if _, err := w.try("php", "upload-code", "shop", "php", w.path(name)); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "; ") {
				t.Errorf("%s: %v; want %q and a remedy", name, err, c.want)
			}
			if left := blobs(); len(left) != 0 {
				t.Fatalf("%s has left %v", name, left)
			}
		}
	}
	for name, text := range map[string]string{"words.tar.gz": "no archive at all", "empty.zip": "", "cut.tar.gz": string(pack(t, "tar.gz", []member{{name: "a", text: "b"}})[:20])} {
		w.write(name, text)
		if _, err := w.try("php", "upload-code", "shop", "php", w.path(name)); err == nil || !strings.Contains(err.Error(), "archive") {
			t.Errorf("%s: %v; want an error that says what archives are taken", name, err)
		}
	}
	if left := blobs(); len(left) != 0 {
		t.Errorf("the refused archives have left %v", left)
	}
	if out := w.cps("php", "list-codes", "shop", "php", "-o", "json"); strings.Count(out, `"id"`) != 1 {
		t.Errorf("the versions are %s; want code-default alone", out)
	}
	w.write("good.zip", string(pack(t, "zip", []member{{name: "index.php", text: "<?php"}})))
	w.cps("php", "upload-code", "shop", "php", w.path("good.zip"))
	if left := blobs(); len(left) != 1 {
		t.Errorf("after a good archive there are %v", left)
	}
}

// pack makes an archive.
func pack(t testing.TB, format string, members []member) []byte {
	t.Helper()
	if format == "zip" {
		return packZip(t, members)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Linkname: m.link, Typeflag: m.kind, Size: int64(len(m.text)), Mode: 0o644}
		if m.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	program := map[string]string{"tar": "cat", "tar.gz": "gzip", "tar.bz2": "bzip2", "tar.xz": "xz"}[format]
	cmd := exec.Command(program)
	cmd.Stdin = &out
	data, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s, which .ci/deps installs: %v", program, err)
	}
	return data
}

func packZip(t testing.TB, members []member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate, Modified: time.Unix(1e9, 0)}
		mode, text := fs.FileMode(0o644), m.text
		switch m.kind {
		case tar.TypeSymlink:
			mode, text = fs.ModeSymlink|0o777, m.link
		case tar.TypeChar:
			mode = fs.ModeDevice | fs.ModeCharDevice | 0o644
		}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
