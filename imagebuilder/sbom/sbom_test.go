package sbom

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const dpkg = `Package: libstdc++6
Status: install ok installed
Installed-Size: 2000
Architecture: amd64
Source: gcc-12 (12.2.0-14)
Version: 12.2.0-14+deb12u1
Description: x
 Package: not a field
 Version: neither

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: held
Status: hold ok installed
Architecture: all
Version: 1:2~rc1
`

func archive(t *testing.T, name, status string, more ...[2]string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	out := tar.NewWriter(f)
	for _, m := range append([][2]string{{"./etc/x", "hello"}, {name, status}}, more...) {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: m[0], Size: int64(len(m[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(m[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(out.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

func contents(t *testing.T) Contents {
	t.Helper()
	c, err := Read(archive(t, "./var/lib/dpkg/status", dpkg))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLeftOut: what dpkg was told not to unpack is told by package.
func TestLeftOut(t *testing.T) {
	c, err := Read(archive(t, "./var/lib/dpkg/status", dpkg,
		[2]string{"./var/lib/dpkg/info/libstdc++6:amd64.list", "/lib/there\n/usr/bin/gone\n/usr/bin/also\n"},
		[2]string{"./usr/lib/there", strings.Repeat("x", 100<<10+1)}, [2]string{"./usr/bin/also", "x"},
		[2]string{"./var/lib/dpkg/info/held.list", "/etc/x\n"}))
	if err != nil {
		t.Fatal(err)
	}
	list, others := c.LeftOut(1)
	if len(list) != 1 || list[0].Name != "libstdc++6" || list[0].LeftOut != (2000-101-1)<<10 || others != 0 {
		t.Errorf("left out %+v and %d", list, others)
	}
	if list, others := c.LeftOut(2 << 20); len(list) != 0 || others != 1898<<10 {
		t.Errorf("left out %+v and %d", list, others)
	}
}

func TestRead(t *testing.T) {
	want := Contents{
		Packages: []Package{
			{Name: "held", Version: "1:2~rc1", Architecture: "all", Source: "held"},
			{Name: "libstdc++6", Version: "12.2.0-14+deb12u1", Architecture: "amd64", Source: "gcc-12", Size: 2000 << 10},
		},
		Bytes: int64(5 + len(dpkg)),
	}
	got := contents(t)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, file := range map[string]string{
		"no status": archive(t, "./etc/status", dpkg), "a size that is none": archive(t, "var/lib/dpkg/status", "Package: x\nInstalled-Size: 1e99\n"), "no file": "/nonexistent/x.tar",
	} {
		if c, err := Read(file); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestManifest(t *testing.T) {
	var out bytes.Buffer
	if err := contents(t).Manifest(&out); err != nil || out.String() != "held 1:2~rc1 all\nlibstdc++6 12.2.0-14+deb12u1 amd64\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// The rules of SPDX 2.3 that readers of such documents insist on.
func TestSPDX(t *testing.T) {
	var out bytes.Buffer
	digest := strings.Repeat("0f", 32)
	i := Image{Name: "rootfs of debian-12 with php", SHA256: digest, Container: true, Distribution: "debian-12", Created: time.Date(2026, 5, 4, 3, 2, 1, 5, time.UTC), Tool: "cpsimage-v1"}
	if err := contents(t).SPDX(&out, i); err != nil {
		t.Fatal(err)
	}
	var doc document
	d := json.NewDecoder(&out)
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if doc.Version != "SPDX-2.3" || doc.License != "CC0-1.0" || doc.ID != "SPDXRef-DOCUMENT" || !strings.HasSuffix(doc.Namespace, digest) || strings.Contains(doc.Namespace, "#") {
		t.Errorf("document %+v", doc)
	}
	if doc.Creation.Created != "2026-05-04T03:02:01Z" || doc.Creation.Creators[0] != "Tool: cpsimage-v1" {
		t.Errorf("creation %+v", doc.Creation)
	}
	ids := map[string]bool{doc.ID: true}
	for _, p := range doc.Packages {
		if ids[p.ID] || !regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`).MatchString(p.ID) || p.Location == "" || p.Name == "" {
			t.Errorf("package %+v", p)
		}
		ids[p.ID] = true
	}
	described := map[string]string{}
	for _, r := range doc.Relationships {
		if !ids[r.From] || !ids[r.To] {
			t.Errorf("%+v is between nothing", r)
		}
		described[r.To] = r.From + " " + r.Kind
	}
	if len(doc.Packages) != 3 || described[imageID] != docID+" DESCRIBES" || described[doc.Packages[2].ID] != imageID+" CONTAINS" {
		t.Errorf("relationships %v of %d packages", described, len(doc.Packages))
	}
	if p := doc.Packages[0]; p.Checksums[0] != (checksum{"SHA256", digest}) || p.Purpose != "CONTAINER" {
		t.Errorf("image %+v", p)
	}
	if got, want := doc.Packages[2].External[0].Locator, "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"; got != want {
		t.Errorf("purl %s, want %s", got, want)
	}
	if got, want := doc.Packages[1].External[0].Locator, "pkg:deb/debian/held@1%3A2~rc1?arch=all&distro=debian-12"; got != want {
		t.Errorf("purl %s, want %s", got, want)
	}
}
