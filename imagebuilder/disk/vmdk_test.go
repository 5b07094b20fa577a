package disk

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// patchy writes a disk of four tables, which ends within a sector: the begin and the end are text, the second table is empty,
// and in the third one there are grains that zlib cannot make smaller.
func patchy(t *testing.T) (file string, content []byte) {
	t.Helper()
	const part = tableEntries * grain * sector
	content = make([]byte, 3*part+grain*sector+700)
	copy(content, strings.Repeat("begin ", 50_000))
	copy(content[len(content)-300_000:], strings.Repeat("end", 100_000))
	random := rand.New(rand.NewPCG(1, 2))
	for i := 2*part + 5*grain*sector; i < 2*part+8*grain*sector; i += 8 {
		binary.LittleEndian.PutUint64(content[i:], random.Uint64())
	}
	file = filepath.Join(t.TempDir(), "a.raw")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, content
}

// TestVMDKByQemu: qemu finds no fault in the disk, and reads the one that it was made of.
func TestVMDKByQemu(t *testing.T) {
	t.Parallel()
	raw, content := patchy(t)
	dir := t.TempDir()
	file, back := filepath.Join(dir, "a.vmdk"), filepath.Join(dir, "back.raw")
	if err := writeVMDK(t.Context(), raw, file); err != nil {
		t.Fatal(err)
	}
	if got := output(t, "qemu-img", "check", file); !strings.Contains(got, "No errors") {
		t.Errorf("check: %s", got)
	}
	if got := output(t, "qemu-img", "info", file); !strings.Contains(got, "streamOptimized") || !strings.Contains(got, "cluster size: 65536") {
		t.Errorf("info: %s", got)
	}
	output(t, "qemu-img", "convert", "-f", "vmdk", "-O", "raw", file, back)
	got, err := os.ReadFile(back)
	if want := filled(content); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes are read, %d were written, or others: %v", len(got), len(want), err)
	}
}

// TestVMDKByStream: who reads the disk once, from its begin, finds grains in their order, and tables, a directory and a footer that
// name what was before them.
func TestVMDKByStream(t *testing.T) {
	t.Parallel()
	raw, content := patchy(t)
	file := filepath.Join(t.TempDir(), "a.vmdk")
	if err := writeVMDK(t.Context(), raw, file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	number := binary.LittleEndian.Uint32
	header, back := text[:sector], make([]byte, len(content)+2*grain*sector)
	var grains, table, tables, directory []uint32
	disk := uint64(0)
	for at := uint32(overhead); ; {
		mark := text[at*sector:]
		value, size, kind := binary.LittleEndian.Uint64(mark), number(mark[8:]), number(mark[12:])
		data := mark[sector:]
		switch {
		case size != 0:
			if value%grain != 0 || value < disk {
				t.Fatalf("grain %d after %d", value, disk)
			}
			z, err := zlib.NewReader(bytes.NewReader(mark[12:][:size]))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.ReadFull(z, back[value*sector:][:grain*sector]); err != nil {
				t.Fatalf("grain %d has %d bytes: %v", value, n, err)
			}
			grains, disk = append(grains, at), value+1
			at += (12 + size + sector - 1) / sector
			continue
		case kind == markTable:
			table = nil
			for i := range tableEntries {
				if n := number(data[4*i:]); n != 0 {
					table = append(table, n)
				}
			}
			if value != 4 || !slices.Equal(table, grains) {
				t.Fatalf("table of %d sectors: %v, want %v", value, table, grains)
			}
			tables, grains = append(tables, at+1), nil
		case kind == markDirectory:
			for i := range 4 {
				directory = append(directory, number(data[4*i:]))
			}
			if want := []uint32{tables[0], 0, tables[1], tables[2]}; value != 1 || len(tables) != 3 || !slices.Equal(directory, want) {
				t.Fatalf("directory: %v, want %v", directory, want)
			}
			binary.LittleEndian.PutUint64(header[56:], uint64(at+1))
		case kind == markFooter:
			if value != 1 || !bytes.Equal(data[:sector], header) {
				t.Fatalf("footer %x, want %x", data[:sector], header)
			}
		case kind == markEnd:
			if len(data) != 0 || value != 0 || !bytes.Equal(back[:len(content)], content) {
				t.Errorf("%d bytes are behind the end, or the disk is another one", len(data))
			}
			return
		}
		at += 1 + uint32(value)
	}
}

// TestVMDKOfNothing: an empty disk is a disk as well, and an interruption is said.
func TestVMDKOfNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	raw, file := filepath.Join(dir, "a.raw"), filepath.Join(dir, "a.vmdk")
	for _, size := range []int64{sector, 70 * mib} {
		if err := errors.Join(os.WriteFile(raw, nil, 0o600), os.Truncate(raw, size), writeVMDK(t.Context(), raw, file)); err != nil {
			t.Fatal(err)
		}
		output(t, "qemu-img", "compare", "-f", "raw", "-F", "vmdk", raw, file)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := writeVMDK(ctx, raw, file); !errors.Is(err, errInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
}
