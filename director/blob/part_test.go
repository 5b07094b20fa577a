package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// An upload that breaks off goes on where it has ended, and what comes in the end is what was announced.
func TestUploadGoesOn(t *testing.T) {
	t.Parallel()
	b := testBlobs(t)
	data := bytes.Repeat([]byte("0123456789"), 90)
	const name = partPrefix + "1-1-x"
	breaks := func(from, to int) {
		t.Helper()
		_, err := b.ReceivePart(t.Context(), name, sumOf(data), int64(from), int64(len(data)-from), io.MultiReader(bytes.NewReader(data[from:to]), errReader{}))
		if !errors.Is(err, errBroken) {
			t.Fatalf("it breaks off at %d: %v", to, err)
		}
		if n, err := b.Part(name, int64(len(data))); n != int64(to) || err != nil {
			t.Errorf("%d bytes are there, want %d; %v", n, to, err)
		}
	}
	breaks(0, 300)
	breaks(300, 301)
	breaks(301, 301)
	if _, err := b.ReceivePart(t.Context(), name, sumOf(data), 300, 600, bytes.NewReader(data[300:])); api.CodeFrom(err) != api.CodeInvalid || !strings.Contains(err.Error(), "301 bytes") {
		t.Errorf("another offset: %v", err)
	}
	if _, err := b.ReceivePart(t.Context(), name, sumOf(data), 301, 599, bytes.NewReader(data[301:500])); api.CodeFrom(err) != api.CodeInvalid {
		t.Errorf("less than announced: %v", err)
	}
	u, err := b.ReceivePart(t.Context(), name, sumOf(data), 500, 400, bytes.NewReader(data[500:]))
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, len(data))
	if _, err := u.ReadAt(whole, 0); err != nil || !bytes.Equal(whole, data) || u.Size != int64(len(data)) || u.SHA256 != sumOf(data) {
		t.Errorf("%d bytes have come as %s, %v", u.Size, u.SHA256, err)
	}
	if err := errors.Join(b.Keep(u, func() error { return nil }), u.Drop()); err != nil {
		t.Error(err)
	}
	if left := b.names(t); len(left) != 1 || left[0] != sumOf(data) {
		t.Errorf("%v is left", left)
	}
}

// What is not as announced, or does not fit, is not kept.
func TestWrongPartsAreDropped(t *testing.T) {
	t.Parallel()
	b := testBlobs(t)
	data := []byte("the archive")
	if _, err := b.ReceivePart(t.Context(), partPrefix+"1-1-x", sumOf([]byte("another")), 0, int64(len(data)), bytes.NewReader(data)); api.CodeFrom(err) != api.CodeInvalid {
		t.Errorf("another SHA-256: %v", err)
	}
	if _, err := b.Part("x", 1001); api.CodeFrom(err) != api.CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
	if _, err := b.ReceivePart(t.Context(), partPrefix+"1-1-x", sumOf(data), 0, 1001, bytes.NewReader(data)); api.CodeFrom(err) != api.CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
	b.limit = 3 * spaceEvery
	looks := 0
	b.space = func() (uint64, uint64, error) {
		if looks++; looks > 1 {
			return 0, 1 << 30, nil
		}
		return 1 << 30, 1 << 30, nil
	}
	if _, err := b.ReceivePart(t.Context(), partPrefix+"1-1-x", sumOf(data), 0, 2*spaceEvery, bytes.NewReader(make([]byte, 2*spaceEvery))); api.CodeFrom(err) != api.CodeFull {
		t.Errorf("the disk is full meanwhile: %v", err)
	}
	if left := b.names(t); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// Uploads that nobody goes on with are few, and end.
func TestPartsAreBounded(t *testing.T) {
	t.Parallel()
	b := testBlobs(t)
	nothing := func() (map[string]bool, error) { return nil, nil }
	for i := range maxParts + 3 {
		path := b.path(partPrefix + string(rune('a'+i)))
		if err := os.WriteFile(path, []byte("begin"), 0o600); err != nil {
			t.Fatal(err)
		}
		last := time.Now().Add(time.Duration(i-maxParts-3) * time.Hour)
		if err := os.Chtimes(path, last, last); err != nil {
			t.Fatal(err)
		}
	}
	if !b.Hold(partPrefix+"a") || b.Hold(partPrefix+"a") {
		t.Error("a part is held by two")
	}
	if err := b.Prune(nothing, true); err != nil || len(b.names(t)) != maxParts+1 || b.names(t)[0] != partPrefix+"a" {
		t.Errorf("left are %v, %v", b.names(t), err)
	}
	b.Release(partPrefix + "a")
	old := time.Now().Add(-partAge - time.Minute)
	for _, name := range b.names(t) {
		if err := os.Chtimes(b.path(name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Prune(nothing, false); err != nil || len(b.names(t)) > 0 {
		t.Errorf("left are %v, %v", b.names(t), err)
	}
}
