package verify

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conpaas/imagebuilder/container"
	"conpaas/imagebuilder/disk"
)

// files makes a small image of each form, all of the same root file system or disk.
func files(t *testing.T) (dir string, rootTar, raw []byte) {
	t.Helper()
	dir = t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	err := errors.Join(
		out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755, Format: tar.FormatGNU}),
		out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "./x", Mode: 0o644, Format: tar.FormatGNU}),
		out.Close(),
	)
	rootTar, raw = b.Bytes(), make([]byte, 1<<20)
	raw[510], raw[511] = 0x55, 0xaa
	about := container.Image{Name: "x", Architecture: "amd64", Created: time.Unix(1, 0)}
	err = errors.Join(
		err, os.WriteFile(file("a.raw"), raw, 0o600), os.WriteFile(file("a.tar"), rootTar, 0o600),
		container.WriteLXC(t.Context(), file("a.tar"), file("a.lxc"), about), container.WriteOCI(t.Context(), file("a.tar"), file("a.oci"), dir, about),
	)
	for _, format := range []string{"qcow2", "vdi", "ova"} {
		err = errors.Join(err, disk.Convert(t.Context(), file("a.raw"), format, file("a."+format), 0))
	}
	for _, name := range []string{"a.tar", "a.lxc", "a.oci"} {
		for _, args := range [][]string{{"gzip", "-k"}, {"xz", "-k"}, {"zstd", "-q"}} {
			err = errors.Join(err, exec.Command(args[0], args[1], file(name)).Run())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, rootTar, raw
}

// TestEveryForm: an image is known by its content, whatever its name, and what boots is what is in it.
func TestEveryForm(t *testing.T) {
	dir, rootTar, raw := files(t)
	for name, want := range map[string]Image{
		"a.raw": {Disk: true, Form: "raw"}, "a.qcow2": {Disk: true, Form: "qcow2"}, "a.vdi": {Disk: true, Form: "vdi"}, "a.ova": {Disk: true, Form: "ova"},
		"a.tar": {Form: "tar"}, "a.tar.gz": {Form: "tar", Pack: "gz"}, "a.tar.xz": {Form: "tar", Pack: "xz"}, "a.tar.zst": {Form: "tar", Pack: "zst"},
		"a.lxc": {Form: "lxc"}, "a.lxc.gz": {Form: "lxc", Pack: "gz"}, "a.lxc.xz": {Form: "lxc", Pack: "xz"}, "a.lxc.zst": {Form: "lxc", Pack: "zst"},
		"a.oci": {Form: "oci"}, "a.oci.gz": {Form: "oci", Pack: "gz"}, "a.oci.xz": {Form: "oci", Pack: "xz"}, "a.oci.zst": {Form: "oci", Pack: "zst"},
	} {
		want.Path = filepath.Join(dir, "nameless")
		if err := errors.Join(os.RemoveAll(want.Path), os.Link(filepath.Join(dir, name), want.Path)); err != nil {
			t.Fatal(err)
		}
		i, err := Open(t.Context(), want.Path)
		if err != nil || i != want {
			t.Errorf("%s is %+v, %v; want %+v", name, i, err, want)
			continue
		}
		boots, err := i.bootable(t.Context(), t.TempDir(), func(string) {})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		content, err := os.ReadFile(boots.Path)
		if err == nil && boots.Pack == "gz" {
			content, err = exec.Command("gzip", "-dc", boots.Path).Output()
		}
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case boots.Disk && name != "a.qcow2" && !bytes.Equal(content, raw), name == "a.qcow2" && boots != i:
			t.Errorf("%s boots another disk", name)
		case !boots.Disk && (!bytes.HasPrefix(content, []byte("./\x00")) || !bytes.Contains(content, []byte("./x\x00"))), want.Form != "lxc" && !boots.Disk && !bytes.Equal(content, rootTar):
			t.Errorf("%s starts another root file system", name)
		}
	}
}

// TestNoImage names what is wrong with a file, or missing on the host.
func TestNoImage(t *testing.T) {
	dir, _, _ := files(t)
	zip := func(content []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := w.Write(content)
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	ova, err := os.ReadFile(filepath.Join(dir, "a.ova"))
	if err != nil {
		t.Fatal(err)
	}
	for says, content := range map[string][]byte{
		"is no image": nil, "packed by gzip, xz or zstd); verify": bytes.Repeat([]byte("text"), 200),
		"it begins as an archive and is none": zip(make([]byte, 200)), "packed appliance": zip(ova),
	} {
		file := filepath.Join(dir, "bad")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), file); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Open(t.Context(), filepath.Join(dir, "a.tar.xz")); err == nil || !strings.Contains(err.Error(), "apt-get install xz-utils") {
		t.Errorf("without xz: %v", err)
	}
}

// TestInterrupted: what was half unpacked is in the directory of the verification only, and that is said as an error.
func TestInterrupted(t *testing.T) {
	dir, _, _ := files(t)
	for _, name := range []string{"a.vdi", "a.ova", "a.tar.xz", "a.lxc", "a.oci"} {
		i, err := Open(t.Context(), filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := i.bootable(ctx, t.TempDir(), func(string) {}); err == nil {
			t.Errorf("%s: it was unpacked", name)
		}
	}
}
