// Package disk makes disk images that boot by themselves of root file systems, and converts them for hypervisors. It
// needs no root, loop device or mount: a partition table, a boot loader and file systems are written into a file.
//
// It must not know recipes, builds or their cache.
package disk

import (
	"context"
	"errors"
	"os"
)

// Options say how to write a disk.
type Options struct {
	Size     int64        // of the raw image, in bytes; 0: the smallest
	Optimize bool         // less free space: the root file system grows at the first boot anyway
	Step     func(string) // called for every step; nil: no one
	Held     *os.File     // a lock that the programs inherit, so that it lasts as long as they write; nil: none
}

// Tool is a program that is run, by its name, or a file that is read, by its absolute path, and the Debian package of it.
type Tool struct{ Name, Package string }

// Tools gives what Write and Convert need of this host, for root or for another user.
func Tools(root bool) []Tool {
	tools := []Tool{
		{"grub-mkimage", "grub-common"},
		{"/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin"},
		{"/usr/lib/grub/x86_64-efi/ext2.mod", "grub-efi-amd64-bin"},
		{"mke2fs", "e2fsprogs"},
		{"mformat", "mtools"},
		{"qemu-img", "qemu-utils"},
		{"tar", "tar"},
	}
	if !root {
		tools = append(tools, Tool{"unshare", "util-linux"}, Tool{"newuidmap", "uidmap"}, Tool{"newgidmap", "uidmap"})
	}
	return tools
}

// Minimum gives the size in bytes of the smallest raw image of a root file system, with 256 MiB of it free; less is
// enough where it is to be optimized.
func Minimum(ctx context.Context, rootTar string) (int64, error) {
	return 0, errors.ErrUnsupported
}

// Write makes a raw disk image of the archive of a root file system with Packages in it, by which Setup and Customize
// have gone. A failure or an interruption leaves nothing.
func Write(ctx context.Context, rootTar, raw string, o Options) error {
	return errors.ErrUnsupported
}

// Convert writes a raw disk as qcow2 (compressed), vdi or ova (a VirtualBox appliance).
func Convert(ctx context.Context, raw, format, out string) error {
	return errors.ErrUnsupported
}
