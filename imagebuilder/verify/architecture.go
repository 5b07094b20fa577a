package verify

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
)

// runsHere refuses an image, which is bootable, whose programs are those of another processor than this host's: no firmware finds a
// loader there, and no program of a container starts. One that shows nothing is tried. Files are made in a directory.
func (i Image) runsHere(ctx context.Context, dir string) error {
	find := i.programs
	if i.Disk {
		find = func(ctx context.Context) (string, error) { return i.loader(ctx, dir) }
	}
	found, err := find(ctx)
	if err != nil {
		return fmt.Errorf("tell which processor it is for: %w", err)
	}
	if found != "" && found != runtime.GOARCH {
		return fmt.Errorf("its programs are for %s, and this host runs those of %s: verify it on a host of %s", found, runtime.GOARCH, found)
	}
	return nil
}

// programs gives the architecture of the first program in the archive of a root file system; "": there is none.
func (i Image) programs(ctx context.Context) (string, error) {
	f, err := os.Open(i.Path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var in io.Reader = f
	if i.Pack == "gz" {
		if in, err = gzip.NewReader(f); err != nil {
			return "", err
		}
	}
	for archive := tar.NewReader(in); ; {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		// Elsewhere may be what somebody keeps for other machines.
		if dir := path.Dir(path.Clean("/" + h.Name)); h.Typeflag != tar.TypeReg || dir != "/bin" && dir != "/usr/bin" {
			continue
		}
		head := make([]byte, 20) // up to the machine
		if _, err := io.ReadFull(archive, head); err == nil && bytes.HasPrefix(head, []byte(elf.ELFMAG)) {
			return machine(elf.Machine(binary.LittleEndian.Uint16(head[18:]))), nil
		}
	}
}

// machine names an architecture as Go and Debian do, or as ELF does.
func machine(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_AARCH64:
		return "arm64"
	}
	return m.String()
}

// loader gives the architecture of the loader that UEFI looks for on a disk it does not know, by its name in the directory of a FAT
// file system at the begin of the disk; "": there is none, or several.
func (i Image) loader(ctx context.Context, dir string) (string, error) {
	const entry, mib = 32, "64" // of a directory; of the disk
	head := filepath.Join(dir, "head")
	out, err := exec.CommandContext(ctx, "qemu-img", "dd", "-f", i.Form, "-O", "raw", "bs=1M", "count="+mib, "if="+i.Path, "of="+head).CombinedOutput()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%w; run: apt-get install qemu-utils", err)
	}
	if err != nil {
		return "", fmt.Errorf("qemu-img: %w: %s", err, bytes.TrimSpace(out))
	}
	text, err := os.ReadFile(head)
	if err != nil {
		return "", err
	}
	if err := os.Remove(head); err != nil {
		return "", err
	}
	found := map[string]bool{}
	for at := 0; at+entry <= len(text); at += entry {
		switch string(text[at:][:11]) {
		case "BOOTX64 EFI":
			found["amd64"] = true
		case "BOOTAA64EFI":
			found["arm64"] = true
		}
	}
	if len(found) == 1 {
		for name := range found {
			return name, nil
		}
	}
	return "", nil
}
