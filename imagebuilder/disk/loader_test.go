package disk

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// TestPatch: the first sector and the core image know where the core image is.
func TestPatch(t *testing.T) {
	t.Parallel()
	p := partition{start: 3 * mib, end: 4 * mib}
	boot, core := bytes.Repeat([]byte{0xaa}, sector), bytes.Repeat([]byte{0xbb}, 5*sector+1)
	gotBoot, gotCore, err := patch(boot, core, p)
	if err != nil {
		t.Fatal(err)
	}
	u64, u16 := binary.LittleEndian.Uint64, binary.LittleEndian.Uint16
	if len(gotBoot) != 440 || u64(gotBoot[0x5c:]) != 6144 || !bytes.Equal(gotBoot[0x66:0x68], []byte{0x90, 0x90}) {
		t.Errorf("first sector: % x", gotBoot)
	}
	if list := gotCore[0x1f4:0x200]; u64(list) != 6145 || u16(list[8:]) != 5 || u16(list[10:]) != 0x820 || len(gotCore) != len(core) {
		t.Errorf("core image: % x", list)
	}
	if gotBoot[0] != 0xaa || gotCore[0x1f3] != 0xbb || gotCore[0x200] != 0xbb || boot[0x5c] != 0xaa || core[0x1f4] != 0xbb {
		t.Error("more is changed")
	}
	for _, bad := range []struct{ boot, core []byte }{{boot[1:], core}, {boot, core[:sector]}, {boot, make([]byte, mib+1)}} {
		if _, _, err := patch(bad.boot, bad.core, p); err == nil {
			t.Errorf("%d and %d bytes are taken", len(bad.boot), len(bad.core))
		}
	}
}
