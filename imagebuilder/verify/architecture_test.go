package verify

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"conpaas/imagebuilder/container"
	"conpaas/imagebuilder/disk"
)

// foreign is an architecture that this host is not of.
func foreign() (name string, m elf.Machine, loader string) {
	if runtime.GOARCH == "arm64" {
		return "amd64", elf.EM_X86_64, "BOOTX64.EFI"
	}
	return "arm64", elf.EM_AARCH64, "BOOTAA64.EFI"
}

// root writes a root file system with a program of a machine, and with one of this host where it does not count.
func root(t *testing.T, file string, m elf.Machine) {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	program = program[:100]
	other := bytes.Clone(program)
	other[18], other[19] = byte(m), byte(m>>8)
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		text []byte
	}{{"./srv/bin/x", program}, {"./usr/bin/script", []byte("#!/bin/sh")}, {"./usr/bin/x", other}} {
		if err := errors.Join(
			out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o755, Size: int64(len(f.text)), Format: tar.FormatGNU}),
			func() error { _, err := out.Write(f.text); return err }(),
		); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(out.Close(), os.WriteFile(file, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestForeign: an image for another processor is refused with that reason, in each form, before anything is started.
func TestForeign(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	name, other, loader := foreign()
	root(t, file("a.tar"), other)
	about := container.Image{Name: "x", Architecture: "arm64", Created: time.Unix(1, 0)}
	err := errors.Join(container.WriteLXC(t.Context(), file("a.tar"), file("a.lxc"), about), container.WriteOCI(t.Context(), file("a.tar"), file("a.oci"), dir, about))
	for _, args := range [][]string{
		{"gzip", "-k", file("a.tar")},
		{"zstd", "-q", file("a.tar")},
		{"mformat", "-C", "-i", file("a.raw"), "-T", "70000", "-h", "255", "-s", "63", "-F", "::"},
		{"mmd", "-i", file("a.raw"), "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", file("a.raw"), file("a.tar"), "::/EFI/BOOT/" + loader},
	} {
		if out, run := exec.Command(args[0], args[1:]...).CombinedOutput(); run != nil {
			t.Fatalf("%q: %v: %s", args, run, out)
		}
	}
	for _, format := range []string{"qcow2", "vdi", "ova"} {
		err = errors.Join(err, disk.Convert(t.Context(), file("a.raw"), format, file("a."+format), 0))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"tar", "tar.gz", "tar.zst", "lxc", "oci", "raw", "qcow2", "vdi", "ova"} {
		i, err := Open(t.Context(), file("a."+form))
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Director: file("no-director"), Timeout: time.Minute, Step: func(text string) {
			if strings.Contains(text, "starting") {
				t.Errorf("%s: %s", form, text)
			}
		}}
		if i.Disk {
			o.Firmware = BIOS
		}
		want := "its programs are for " + name + ", and this host runs those of " + runtime.GOARCH
		if _, err := Run(t.Context(), i, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", form, err, want)
		}
	}
}

// TestNative: an image for this processor, for both or without anything that shows it is no foreign one; who reads it can be interrupted.
func TestNative(t *testing.T) {
	dir := t.TempDir()
	own := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	archive, raw := Image{Path: filepath.Join(dir, "a.tar"), Form: "tar"}, Image{Path: filepath.Join(dir, "a.raw"), Form: "raw", Disk: true}
	root(t, archive.Path, own)
	both := make([]byte, 1<<20)
	copy(both[1024:], "BOOTAA64EFI")
	copy(both[1056:], "BOOTX64 EFI")
	if err := os.WriteFile(raw.Path, both, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := archive.programs(t.Context()); err != nil || found != runtime.GOARCH {
		t.Errorf("programs: %q, %v", found, err)
	}
	for _, i := range []Image{archive, raw} {
		if err := i.runsHere(t.Context(), dir); err != nil {
			t.Errorf("%s: %v", i.Form, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := i.runsHere(ctx, dir); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: interrupted: %v", i.Form, err)
		}
	}
	t.Setenv("PATH", dir)
	if err := raw.runsHere(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "apt-get install qemu-utils") {
		t.Errorf("without qemu-img: %v", err)
	}
	if got := machine(elf.EM_RISCV); got != "EM_RISCV" {
		t.Errorf("riscv is %s", got)
	}
}
