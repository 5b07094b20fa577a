package disk

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
)

const (
	block      = 4096
	perInode   = 16384 // bytes of the file system for each inode; as many as mke2fs gives by itself
	journal    = 32 * mib
	free       = 256 * mib // what the original's images had
	freeLittle = 32 * mib  // enough for the first boot, at which the file system grows to its disk
)

// Minimum gives the size in bytes of the smallest raw image of a root file system, with 256 MiB of it free; less is
// enough where it is to be optimized.
func Minimum(ctx context.Context, rootTar string) (int64, error) {
	u, err := measure(ctx, rootTar)
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", rootTar, err)
	}
	return u.disk(free), nil
}

// usage is what a root file system takes.
type usage struct {
	bytes  int64 // in whole blocks
	inodes int64
	boots  bool // it has a kernel and the loader's configuration
}

// measure reads the headers of an archive.
func measure(ctx context.Context, rootTar string) (usage, error) {
	f, err := os.Open(rootTar)
	if err != nil {
		return usage{}, err
	}
	defer f.Close()
	u, dirs := usage{}, map[string]int64{}
	var kernel, config bool
	for in := tar.NewReader(f); ; {
		if ctx.Err() != nil {
			return usage{}, errInterrupted
		}
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return usage{}, fmt.Errorf("read the archive: %w", err)
		}
		name := path.Clean("/" + h.Name)
		dirs[path.Dir(name)] += int64(8+len(path.Base(name))+3) &^ 3 // an entry of a directory
		switch {
		case h.Typeflag == tar.TypeLink:
			continue
		case h.Typeflag == tar.TypeReg:
			u.bytes += blocks(h.Size)
		case h.Typeflag == tar.TypeSymlink && len(h.Linkname) >= 60: // shorter ones are in the inode
			u.bytes += block
		}
		u.inodes++
		kernel = kernel || name == "/vmlinuz"
		config = config || name == "/boot/grub/grub.cfg"
	}
	for _, size := range dirs {
		u.bytes += blocks(size)
	}
	u.boots = kernel && config
	return u, nil
}

// disk gives the size of the smallest disk for this, with so many bytes free for ordinary users, in whole MiB.
func (u usage) disk(free int64) int64 {
	// A part of 1/64 of the file system is inodes, 1/100 is reserved for root; extents, bitmaps, copies of the descriptors
	// and room for more of them are the rest.
	size := (u.bytes+u.bytes/200+journal+free+8*mib)*1000/970 + mib
	size = max(size, (u.inodes+u.inodes/8)*perInode)
	return rootStart + (size+mib-1)/mib*mib + rootAfter
}

func blocks(size int64) int64 { return (size + block - 1) / block * block }
