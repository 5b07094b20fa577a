package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	grubDir = "/usr/lib/grub"
	// prefix has no disk: the loader takes the one that it was loaded from, whatever others there are.
	prefix = "(,gpt3)/boot/grub"

	codeLen      = 440  // bytes of an MBR that are the loader's
	kernelSector = 0x5c // where boot.img has the sector of the core image (8 bytes)
	driveCheck   = 0x66 // where it distrusts the drive that the firmware names (2 bytes)
	coreList     = sector - 12
	coreSegment  = 0x820 // where diskboot.img loads the rest of the core image
)

// loader is GRUB for one disk.
type loader struct {
	boot []byte // for the first sector
	core []byte // for the BIOS boot partition
	efi  string // file for the EFI system partition
}

// makeLoader makes GRUB's images in a directory.
func makeLoader(ctx context.Context, dir string, bios partition, o Options) (loader, error) {
	core := filepath.Join(dir, "core.img")
	l := loader{efi: filepath.Join(dir, "bootx64.efi")}
	modules := []string{"part_gpt", "ext2", "normal", "linux", "echo"}
	for _, m := range [][]string{
		append([]string{"-O", "i386-pc", "-o", core, "-p", prefix, "biosdisk"}, modules...),
		append([]string{"-O", "x86_64-efi", "-o", l.efi, "-p", prefix, "fat", "efi_gop"}, modules...),
	} {
		if err := run(ctx, o, "grub-mkimage", m...); err != nil {
			return loader{}, err
		}
	}
	boot, err := os.ReadFile(filepath.Join(grubDir, "i386-pc/boot.img"))
	if err != nil {
		return loader{}, err
	}
	image, err := os.ReadFile(core)
	if err != nil {
		return loader{}, err
	}
	l.boot, l.core, err = patch(boot, image, bios)
	return l, err
}

// patch tells GRUB's first sector where its core image is, and the core image where its own rest is, as grub-bios-setup
// does on a disk.
func patch(boot, core []byte, bios partition) (bootCode, coreImage []byte, err error) {
	if len(boot) != sector || len(core) <= sector {
		return nil, nil, errors.New("GRUB's boot.img or core image is not as long as it must be")
	}
	if int64(len(core)) > bios.end-bios.start {
		return nil, nil, fmt.Errorf("GRUB's core image has %d bytes, more than its partition", len(core))
	}
	boot, core = append([]byte(nil), boot[:codeLen]...), append([]byte(nil), core...)
	first := uint64(bios.start / sector)
	binary.LittleEndian.PutUint64(boot[kernelSector:], first)
	copy(boot[driveCheck:], "\x90\x90") // BIOSes are known that name a wrong drive for a disk
	binary.LittleEndian.PutUint64(core[coreList:], first+1)
	binary.LittleEndian.PutUint16(core[coreList+8:], uint16((len(core)-1)/sector))
	binary.LittleEndian.PutUint16(core[coreList+10:], coreSegment)
	return boot, core, nil
}

// install makes the file of a disk with its partition table and the BIOS's part of the loader.
func (l loader) install(file string, size int64, bios, esp, root partition) (err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	head, tail := table(size, bios, esp, root)
	copy(head, l.boot)
	if err := f.Truncate(size); err != nil {
		return err
	}
	for at, data := range map[int64][]byte{0: head, bios.start: l.core, size - int64(len(tail)): tail} {
		if _, err := f.WriteAt(data, at); err != nil {
			return err
		}
	}
	return nil
}
