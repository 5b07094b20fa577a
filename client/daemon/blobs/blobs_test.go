package blobs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
)

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// What a killed program leaves is whole, or a beginning that goes on, or removed; it is never taken for what it is not.
func TestBlobsAfterKill(t *testing.T) {
	dir := t.TempDir()
	data := []byte(strings.Repeat("blob ", 1000))
	whole, begun, used, other := sumOf(data), sumOf([]byte("begun")), sumOf([]byte("used")), sumOf([]byte("other"))
	for name, text := range map[string]string{whole: string(data), begun + partSuffix: "beg", used: "used", other: "other", "junk": "x", other + partSuffix: "o"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Open(dir, "this node")
	if err != nil {
		t.Fatal(err)
	}
	b.Want([]string{whole, begun})
	if err := b.Prune([]string{used}); err != nil {
		t.Fatal(err)
	}
	if have, err := b.Find(whole); err != nil || have != (api.Blob{Length: int64(len(data)), Complete: true}) {
		t.Errorf("the whole one: %+v, %v", have, err)
	}
	if have, err := b.Find(begun); err != nil || have != (api.Blob{Length: 3}) {
		t.Errorf("the begun one: %+v, %v", have, err)
	}
	if lacks := b.Lacks(); !slices.Equal(lacks, []string{begun}) {
		t.Errorf("it lacks %v, want only the begun one", lacks)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("%v, %v are left; want the two that the spec names and the one in use", entries, err)
	}
	if err := b.Put(t.Context(), begun, api.BlobPart{Offset: 3, Total: 5}, strings.NewReader("un")); err != nil {
		t.Error(err)
	}
	if b.Lacks() != nil {
		t.Errorf("in the end it lacks %v", b.Lacks())
	}
}

func TestPutRefuses(t *testing.T) {
	b, err := Open(t.TempDir(), "this node")
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("some bytes")
	sum := sumOf(data)
	b.Want([]string{sum})
	for _, test := range []struct { // in this order: what has come of one stays for the next
		name   string
		digest string
		part   api.BlobPart
		body   string
		want   api.Code
	}{
		{"not in the spec", sumOf(nil), api.BlobPart{Total: 0}, "", api.CodeNotFound},
		{"no digest", "../spec.json", api.BlobPart{Total: 3}, "abc", api.CodeNotFound},
		{"too large", sum, api.BlobPart{Total: api.MaxBlob + 1}, "", api.CodeTooLarge},
		{"negative", sum, api.BlobPart{Offset: -1, Total: 10}, "", api.CodeInvalid},
		{"beyond the end", sum, api.BlobPart{Offset: 11, Total: 10}, "", api.CodeInvalid},
		{"leaves a hole", sum, api.BlobPart{Offset: 3, Total: 10}, "e bytes", api.CodeConflict},
		{"too short", sum, api.BlobPart{Total: 10}, "some", api.CodeInvalid},
		{"too long", sum, api.BlobPart{Total: 4}, "some bytes", api.CodeTooLarge},
		{"another", sum, api.BlobPart{Total: 10}, "some bites", api.CodeInvalid},
	} {
		if err := b.Put(t.Context(), test.digest, test.part, strings.NewReader(test.body)); api.CodeFrom(err) != test.want {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
	if err := b.Put(t.Context(), sum, api.BlobPart{Total: 10}, bytes.NewReader(data)); err != nil {
		t.Errorf("after all that the right one: %v", err)
	}
}

// A blob comes once at a time, and one that no spec names any more when it has come is not kept.
func TestSpecChangesWhileABlobComes(t *testing.T) {
	dir := t.TempDir()
	b, err := Open(dir, "this node")
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("some bytes")
	sum := sumOf(data)
	b.Want([]string{sum})
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- b.Put(t.Context(), sum, api.BlobPart{Total: int64(len(data))}, reader) }()
	if _, err := writer.Write(data[:4]); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), sum, api.BlobPart{Total: int64(len(data))}, bytes.NewReader(data)); api.CodeFrom(err) != api.CodeConflict {
		t.Errorf("a second sender gets %v, want %s", err, api.CodeConflict)
	}
	b.Want(nil)
	if err := b.Prune(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(data[4:]); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 || b.Has(sum) {
		t.Errorf("%v, %v are left", entries, err)
	}
}

// A full disk is said to be one; what has come stays, and with space again the rest is taken.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount a small disk (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b, err := Open(dir, "this node")
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("0123456789abcdef"), 40<<10) // 640 KiB
	sum := sumOf(data)
	b.Want([]string{sum})
	put := func(body io.Reader) error {
		return b.Put(t.Context(), sum, api.BlobPart{Total: int64(len(data))}, body)
	}
	filler := filepath.Join(dir, "filler")
	fill := func(size int) { _ = os.WriteFile(filler, make([]byte, size), 0o600) } // writes what fits
	fill(600 << 10)
	if err := put(bytes.NewReader(data)); api.CodeFrom(err) != api.CodeFull || !strings.Contains(err.Error(), "of this node has") {
		t.Errorf("without room: %v, want %s", err, api.CodeFull)
	}
	fill(0)
	filling := io.MultiReader(bytes.NewReader(data[:1000]), readerFunc(func([]byte) (int, error) { fill(1 << 20); return 0, nil }), bytes.NewReader(data[1000:]))
	if err := put(filling); api.CodeFrom(err) != api.CodeFull || !strings.Contains(err.Error(), "of this node is full") {
		t.Errorf("filled meanwhile: %v, want %s", err, api.CodeFull)
	}
	fill(0)
	have, err := b.Find(sum)
	if err != nil || have.Complete || have.Length < 1000 {
		t.Errorf("of what came %+v is here, %v", have, err)
	}
	if err := b.Put(t.Context(), sum, api.BlobPart{Offset: have.Length, Total: int64(len(data))}, bytes.NewReader(data[have.Length:])); err != nil || !b.Has(sum) {
		t.Errorf("with space again: %v", err)
	}
}

// readerFunc is called once and then at its end.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) {
	_, _ = f(p)
	return 0, io.EOF
}
