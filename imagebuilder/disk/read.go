package disk

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Read writes a disk of VirtualBox (vdi), or the one in an appliance (ova), byte by byte: the reverse of Convert. The digests
// of an appliance must be right. A failure or an interruption leaves nothing.
func Read(ctx context.Context, file, format, raw string) error {
	if err := read(ctx, file, format, raw); err != nil {
		return fmt.Errorf("read the disk of %s: %w", file, err)
	}
	return nil
}

func read(ctx context.Context, file, format, raw string) (err error) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		return fmt.Errorf("%w; run: apt-get install qemu-utils", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(raw), ".disk-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	switch format {
	case "vdi":
	case "ova":
		disk := filepath.Join(dir, "disk.vmdk")
		if err := unpack(ctx, file, disk); err != nil {
			return err
		}
		file, format = disk, "vmdk"
	default:
		return fmt.Errorf("%q is no format that is read; known: vdi, ova", format)
	}
	out := filepath.Join(dir, "disk.raw")
	if err := run(ctx, Options{}, "qemu-img", "convert", "-q", "-W", "-m", "16", "-f", format, "-O", "raw", file, out); err != nil {
		return err
	}
	return os.Rename(out, raw)
}

// unpack takes the disk out of an appliance.
func unpack(ctx context.Context, file, disk string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	const most = 1 << 20 // bytes of the description and of the digests
	sums, stated, disks := map[string]string{}, "", 0
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		sum := sha256.New()
		kind := path.Ext(h.Name)
		switch kind {
		case ".vmdk":
			if disks++; disks > 1 {
				return fmt.Errorf("the appliance has another disk, %s; one that boots by itself has one", h.Name)
			}
			err = extract(ctx, io.TeeReader(in, sum), disk)
		case ".mf":
			var text []byte
			text, err = io.ReadAll(io.LimitReader(in, most))
			stated = string(text)
		default:
			_, err = io.Copy(sum, io.LimitReader(interruptible{ctx, in}, most))
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", h.Name, err)
		}
		if kind != ".mf" {
			sums[h.Name] = fmt.Sprintf("%x", sum.Sum(nil))
		}
	}
	if disks == 0 {
		return errors.New("the appliance has no disk (.vmdk)")
	}
	return compare(stated, sums)
}

// extract writes a disk of VMware's format that is whole in itself: others are text and name more files.
func extract(ctx context.Context, r io.Reader, file string) (err error) {
	magic := make([]byte, 4)
	if _, err := io.ReadFull(r, magic); err != nil || !bytes.Equal(magic, []byte("KDMV")) {
		return errors.Join(errors.New("it is no disk that is whole in itself"), err)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, interruptible{ctx, io.MultiReader(bytes.NewReader(magic), r)})
	return err
}

// compare holds that a manifest (DSP0243, 5.1: SHA256(name)= digest) has the digest of each member, and no other.
func compare(manifest string, sums map[string]string) error {
	for line := range strings.Lines(manifest) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "SHA256")
		name, sum, more := strings.Cut(rest, ")")
		if !ok || !more {
			return fmt.Errorf("the manifest has no SHA256 in the line %q", strings.TrimSpace(line))
		}
		name = strings.TrimLeft(name, " (")
		if sums[name] != strings.TrimLeft(sum, " =") {
			return fmt.Errorf("%s has not the digest that the manifest states", name)
		}
		delete(sums, name)
	}
	for name := range sums {
		return fmt.Errorf("%s is not in the manifest", name)
	}
	return nil
}
