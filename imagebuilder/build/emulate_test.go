package build

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestForeignArchitecturesNeedAnEmulator: one that is registered for all programs will do, if it needs no file in the image; else
// there is one for the build alone, or the remedy is said.
func TestForeignArchitecturesNeedAnEmulator(t *testing.T) {
	registered, lines := t.TempDir(), t.TempDir()
	find := func() (emulator, error) { return findEmulator(t.Context(), "arm64", "amd64", registered, lines) }
	if e, err := findEmulator(t.Context(), "amd64", "amd64", registered, lines); err != nil || e.line != "" {
		t.Errorf("the own architecture needs %+v, %v", e, err)
	}
	for text, ok := range map[string]bool{
		"enabled\ninterpreter x\nflags: OCF\n": true, "enabled\ninterpreter F\nflags: OC\n": false, "disabled\ninterpreter x\nflags: F\n": false,
	} {
		put(t, registered, map[string]string{"qemu-aarch64": text})
		if _, err := find(); (err == nil) != ok || err != nil && !strings.HasSuffix(err.Error(), "; run: apt-get install qemu-user-static") {
			t.Errorf("%q: %v", text, err)
		}
	}
	put(t, registered, map[string]string{"qemu-aarch64": "disabled\ninterpreter x\nflags: F\n"})
	put(t, lines, map[string]string{"qemu-aarch64.conf": "# none\n:no line of it\n"})
	if _, err := find(); err == nil || !strings.Contains(err.Error(), "needs Linux 6.7") || !strings.HasSuffix(err.Error(), "apt-get install binfmt-support qemu-user-static") {
		t.Errorf("what cannot be registered: %v", err)
	}
}

// TestEmulated: a program of another architecture runs in a build, and the host knows no more than before.
func TestEmulated(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Fatal("this test has a program for arm64 and runs on amd64")
	}
	program := filepath.Join(t.TempDir(), "exit42")
	if err := os.WriteFile(program, arm64(), 0o755); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadDir(binfmtRegistered)
	e, err := findEmulator(t.Context(), "arm64", "amd64", t.TempDir(), binfmtLines)
	if err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if out, err := e.command(t.Context(), program).CombinedOutput(); !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("it said %q, %v; want exit status 42", out, err)
	}
	if after, _ := os.ReadDir(binfmtRegistered); len(after) != len(before) {
		t.Errorf("the host has %v, had %v", after, before)
	}
}

// arm64 gives a program that ends with 42: an ELF header, one segment and three instructions.
func arm64() []byte {
	const at, begin = 0x400000, 64 + 56
	code := []uint32{0xd2800540, 0xd2800ba8, 0xd4000001} // mov x0, 42; mov x8, 93 (exit); svc 0
	b := make([]byte, begin, begin+4*len(code))
	for _, word := range code {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	le := binary.LittleEndian
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)    // an executable
	le.PutUint16(b[18:], 0xb7) // AArch64
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], at+begin)
	le.PutUint64(b[32:], 64) // the segments' table
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	segment := b[64:]
	le.PutUint32(segment, 1)
	le.PutUint32(segment[4:], 5) // read and run
	le.PutUint64(segment[16:], at)
	le.PutUint64(segment[24:], at)
	le.PutUint64(segment[32:], uint64(len(b)))
	le.PutUint64(segment[40:], uint64(len(b)))
	le.PutUint64(segment[48:], 0x1000)
	return b
}
