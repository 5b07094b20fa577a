package disk

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"unicode/utf16"
)

const (
	sector   = 512
	mib      = int64(1 << 20)
	entries  = 128 // of a partition table, the least that UEFI allows
	entry    = 128 // bytes of each
	tableLen = entries * entry / sector
)

// partition is a range of a disk, in bytes from its begin.
type partition struct {
	kind  string // UUID of its type
	name  string
	start int64
	end   int64 // the first byte after it
}

// partitions is the layout of a disk of a size, which is a multiple of 1 MiB. The root file system is the last, to grow
// with the disk. The FAT32 of the loader is no smaller because FAT32 begins at 65 525 clusters.
func partitions(size int64) (bios, esp, root partition) {
	bios = partition{"21686148-6449-6E6F-744E-656564454649", "BIOS boot", 1 * mib, 2 * mib}
	esp = partition{"C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "EFI system", 2 * mib, rootStart}
	root = partition{"0FC63DAF-8483-4772-8E79-3D69D8477DE4", "root", rootStart, size - rootAfter}
	return bios, esp, root
}

const (
	rootStart = 36 * mib
	rootAfter = 1 * mib // for the second partition table
)

// table gives the begin (MBR, header, entries) and the end (entries, header) of a disk with a GUID partition table, as
// the UEFI specification 2.10 has it in section 5. The MBR protects the disk from programs that know no other.
func table(size int64, parts ...partition) (head, tail []byte) {
	last := uint64(size/sector) - 1
	list := make([]byte, entries*entry)
	for i, p := range parts {
		e := list[i*entry:]
		copy(e, guid(p.kind))
		copy(e[16:], random())
		binary.LittleEndian.PutUint64(e[32:], uint64(p.start/sector))
		binary.LittleEndian.PutUint64(e[40:], uint64(p.end/sector)-1)
		for j, c := range utf16.Encode([]rune(p.name)) {
			binary.LittleEndian.PutUint16(e[56+2*j:], c)
		}
	}
	id := random()
	header := func(at, other, entriesAt uint64) []byte {
		h := make([]byte, sector)
		copy(h, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
		binary.LittleEndian.PutUint64(h[24:], at)
		binary.LittleEndian.PutUint64(h[32:], other)
		binary.LittleEndian.PutUint64(h[40:], 2+tableLen)
		binary.LittleEndian.PutUint64(h[48:], last-1-tableLen)
		copy(h[56:], id)
		binary.LittleEndian.PutUint64(h[72:], entriesAt)
		binary.LittleEndian.PutUint32(h[80:], entries)
		binary.LittleEndian.PutUint32(h[84:], entry)
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(list))
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
		return h
	}
	mbr := make([]byte, sector)
	copy(mbr[446:], "\x00\x00\x02\x00\xee\xff\xff\xff\x01\x00\x00\x00")
	binary.LittleEndian.PutUint32(mbr[458:], uint32(min(last, 0xffffffff)))
	copy(mbr[510:], "\x55\xaa")
	head = bytes.Join([][]byte{mbr, header(1, last, 2), list}, nil)
	return head, append(list, header(last, 1, last-tableLen)...)
}

// guid gives the bytes of a UUID in a partition table, where its first three numbers are little-endian.
func guid(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil {
		panic(err) // a constant of this package
	}
	for _, r := range [][2]int{{0, 3}, {1, 2}, {4, 5}, {6, 7}} {
		b[r[0]], b[r[1]] = b[r[1]], b[r[0]]
	}
	return b
}

// random gives the bytes of a new UUID, version 4, in a partition table.
func random() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[7] = b[7]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return b
}
