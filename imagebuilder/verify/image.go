package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Image is a file to be verified.
type Image struct {
	Path string // absolute
	Disk bool   // of a virtual machine; else it is the root file system of a container
}

// Open looks at a file: a disk image (raw or qcow2), or the root file system of a container (tar, plain or gzip).
func Open(path string) (Image, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Image{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	head := make([]byte, 512)
	if _, err := io.ReadFull(f, head); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Image{}, fmt.Errorf("%s is no image: %w", path, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")), bytes.Equal(head[257:262], []byte("ustar")):
		return Image{Path: path}, nil
	case bytes.HasPrefix(head, []byte("QFI\xfb")), head[510] == 0x55 && head[511] == 0xaa:
		return Image{Path: path, Disk: true}, nil
	}
	return Image{}, fmt.Errorf("%s is no disk image (raw or qcow2) and no root file system (tar, plain or gzip); verify the image in such a form", path)
}
