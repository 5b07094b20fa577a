// Package disk makes disk images that boot by themselves of root file systems, and converts them for hypervisors. It
// needs no root, loop device or mount: a partition table, a boot loader and file systems are written into a file.
//
// It must not know recipes, builds or their cache.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Options say how to write a disk.
type Options struct {
	Size     int64        // of the raw image, in bytes; 0: the smallest
	Optimize bool         // less free space: the root file system grows at the first boot anyway
	Room     int64        // bytes that are to be free beside that
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
		{"unshare", "util-linux"},
	}
	if !root {
		tools = append(tools, Tool{"newuidmap", "uidmap"}, Tool{"newgidmap", "uidmap"})
	}
	return tools
}

// Write makes a raw disk image of the archive of a root file system with Packages in it, by which Setup and Customize
// have gone. It boots under BIOS and UEFI. The file is sparse. A size that is too small is refused with the smallest one.
// A failure or an interruption leaves nothing.
func Write(ctx context.Context, rootTar, raw string, o Options) error {
	if err := write(ctx, rootTar, raw, o); err != nil {
		return fmt.Errorf("make the disk %s: %w", raw, err)
	}
	return nil
}

func write(ctx context.Context, rootTar, raw string, o Options) (err error) {
	o.step("measuring the root file system")
	u, err := measure(ctx, rootTar)
	if err != nil {
		return err
	}
	size, err := o.size(u)
	if err != nil {
		return err
	}
	rootTar, err = filepath.Abs(rootTar)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(raw), ".disk-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "disk.raw")
	o.step("writing the boot loader")
	bios, esp, root := partitions(size)
	l, err := makeLoader(ctx, dir, bios, o)
	if err != nil {
		return err
	}
	if err := l.install(file, size, bios, esp, root); err != nil {
		return err
	}
	if err := writeESP(ctx, file, l.efi, esp, o); err != nil {
		return err
	}
	o.step("making the file system")
	if err := writeRoot(ctx, tree{filepath.Join(dir, "tree"), u.bytes}, rootTar, file, root, o); err != nil {
		return err
	}
	return os.Rename(file, raw)
}

// size gives the size of a disk for this in bytes, in whole MiB.
func (o Options) size(u usage) (int64, error) {
	if !u.boots {
		return 0, errors.New("the root file system has no kernel, or the loader's configuration is missing")
	}
	least := u.disk(free)
	if o.Optimize {
		least = u.disk(freeLittle)
	}
	least += o.Room / mib * mib
	size := o.Size / mib * mib
	switch {
	case o.Size == 0:
		return least, nil
	case size < least:
		return 0, fmt.Errorf("%d MiB are too small for it, the minimum is %d MiB", size/mib, least/mib)
	}
	return size, nil
}

func (o Options) step(text string) {
	if o.Step != nil {
		o.Step(text)
	}
}

// writeESP makes the FAT32 file system that UEFI starts the loader from.
func writeESP(ctx context.Context, file, efi string, esp partition, o Options) error {
	image := fmt.Sprintf("%s@@%d", file, esp.start)
	sectors := strconv.FormatInt((esp.end-esp.start)/sector, 10)
	hidden := strconv.FormatInt(esp.start/sector, 10)
	for _, args := range [][]string{
		{"mformat", "-i", image, "-F", "-T", sectors, "-h", "255", "-s", "63", "-H", hidden, "-c", "1", "-v", "EFI", "::"},
		{"mmd", "-i", image, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", image, efi, "::/EFI/BOOT/BOOTX64.EFI"}, // where UEFI looks on a disk that it does not know
	} {
		if err := run(ctx, o, args[0], args[1:]...); err != nil {
			return err
		}
	}
	return nil
}
