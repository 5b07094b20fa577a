package disk

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// TestTable reads a partition table by the field offsets of the UEFI specification.
func TestTable(t *testing.T) {
	t.Parallel()
	const size = 1000 << 20
	const last = size/sector - 1
	bios, esp, root := partitions(size)
	head, tail := table(size, bios, esp, root)
	u64, u32 := binary.LittleEndian.Uint64, binary.LittleEndian.Uint32
	if len(head) != 34*sector || len(tail) != 33*sector {
		t.Fatalf("%d bytes at the begin and %d at the end", len(head), len(tail))
	}
	mbr := head[446:462]
	if mbr[4] != 0xee || u32(mbr[8:]) != 1 || u32(mbr[12:]) != size/sector-1 || !bytes.Equal(head[510:512], []byte{0x55, 0xaa}) {
		t.Errorf("the protective MBR is % x", mbr)
	}
	list := head[2*sector:]
	if !bytes.Equal(list, tail[:32*sector]) {
		t.Error("the tables differ")
	}
	for _, h := range []struct {
		header               []byte
		self, other, entries uint64
	}{{head[sector : 2*sector], 1, last, 2}, {tail[32*sector:], last, 1, last - 32}} {
		b := bytes.Clone(h.header)
		sum := u32(b[16:])
		copy(b[16:20], "\x00\x00\x00\x00")
		if string(b[:8]) != "EFI PART" || u32(b[8:]) != 0x10000 || u32(b[12:]) != 92 || crc32.ChecksumIEEE(b[:92]) != sum {
			t.Errorf("header % x", b[:92])
		}
		if u64(b[24:]) != h.self || u64(b[32:]) != h.other || u64(b[40:]) != 34 || u64(b[48:]) != last-33 || u64(b[72:]) != h.entries {
			t.Errorf("header of sector %d: % x", h.self, b[24:80])
		}
		if u32(b[80:]) != 128 || u32(b[84:]) != 128 || u32(b[88:]) != crc32.ChecksumIEEE(list) {
			t.Errorf("entries of sector %d: % x", h.self, b[80:92])
		}
	}
	ids := map[string]bool{string(head[sector+56 : sector+72]): true}
	for i, want := range []struct {
		kind        string // the first bytes of its type, as they are on the disk
		first, last uint64
	}{{"Hah!IdontNeedEFI", 2048, 4095}, {"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba", 4096, 73727}, {"\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e", 73728, last - 2048}} {
		e := list[i*128 : (i+1)*128]
		if !bytes.HasPrefix(e, []byte(want.kind)) || u64(e[32:]) != want.first || u64(e[40:]) != want.last {
			t.Errorf("partition %d: % x", i+1, e)
		}
		ids[string(e[16:32])] = true
	}
	if len(ids) != 4 {
		t.Error("two things have one id")
	}
	if !bytes.Equal(list[3*128:], make([]byte, 125*128)) {
		t.Error("there are more partitions")
	}
}
