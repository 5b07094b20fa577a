package verify

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// Image is a file to be verified.
type Image struct {
	Path string // absolute
	Disk bool   // of a virtual machine; else it is the root file system of a container
	Form string // by its content: raw, qcow2, vdi, ova; tar, lxc, oci
	Pack string // how an archive is packed: gz, xz, zst; "" not at all
}

// Open looks at a file: an image in any form that images are delivered in.
func Open(ctx context.Context, file string) (Image, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return Image{}, err
	}
	f, err := os.Open(file)
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	head := make([]byte, 512)
	if _, err := io.ReadFull(f, head); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Image{}, fmt.Errorf("%s is no image: %w", file, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return Image{}, err
	}
	i := Image{Path: file}
	for form, at := range map[string]struct {
		offset int
		magic  string
	}{"qcow2": {0, "QFI\xfb"}, "vdi": {0x40, "\x7f\x10\xda\xbe"}, "raw": {510, "\x55\xaa"}} {
		if bytes.HasPrefix(head[at.offset:], []byte(at.magic)) {
			i.Form, i.Disk = form, true
		}
	}
	if i.Disk {
		return i, nil
	}
	i.Form, i.Pack, err = archive(ctx, f, head)
	if err != nil {
		return i, fmt.Errorf("%s: %w", file, err)
	}
	i.Disk = i.Form == "ova"
	if i.Disk && i.Pack != "" {
		return i, fmt.Errorf("%s is a packed appliance, which nobody imports; unpack it", file)
	}
	return i, nil
}

// archive tells what an archive is by its first member, and how it is packed.
func archive(ctx context.Context, f io.Reader, head []byte) (form, pack string, err error) {
	in := f
	for p, magic := range map[string]string{"gz": "\x1f\x8b", "xz": "\xfd7zXZ\x00", "zst": "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			pack = p
		}
	}
	switch {
	case pack == "gz":
		if in, err = gzip.NewReader(f); err != nil {
			return "", "", err
		}
	case pack != "":
		var end func()
		if in, end, err = unpacker(ctx, pack, f); err != nil {
			return "", "", err
		}
		defer end()
	case !bytes.Equal(head[257:262], []byte("ustar")):
		return "", "", errors.New("it is no disk image (raw, qcow2, vdi, ova) and no root file system (tar, lxc or oci, plain or packed by gzip, xz or zstd); verify the image in such a form")
	}
	h, err := tar.NewReader(in).Next()
	if err != nil {
		return "", "", fmt.Errorf("it begins as an archive and is none: %w", err)
	}
	name := path.Clean(h.Name)
	switch {
	case name == "metadata.yaml":
		return "lxc", pack, nil
	case name == "oci-layout", name == "index.json", name == "blobs":
		return "oci", pack, nil
	case path.Ext(name) == ".ovf":
		return "ova", pack, nil
	}
	return "tar", pack, nil
}
