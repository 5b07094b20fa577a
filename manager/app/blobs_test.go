package app

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

	"conpaas/client/api"
)

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func named(digests ...string) map[string]bool {
	m := map[string]bool{}
	for _, d := range digests {
		m[d] = true
	}
	return m
}

// What a killed manager leaves is whole, or a beginning that goes on, or removed; it is never taken for what it is not.
func TestBlobsAfterKill(t *testing.T) {
	dir := t.TempDir()
	data := []byte(strings.Repeat("blob ", 1000))
	whole, begun, other := sumOf(data), sumOf([]byte("begun")), sumOf([]byte("other"))
	for name, text := range map[string]string{whole: string(data), begun + partSuffix: "beg", other: "other", "junk": "x", other + partSuffix: "o"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := openBlobs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.want(named(whole, begun)); err != nil {
		t.Fatal(err)
	}
	if length, complete, err := b.find(whole); err != nil || !complete || length != int64(len(data)) {
		t.Errorf("the whole one: %d bytes, %v, %v", length, complete, err)
	}
	if length, complete, err := b.find(begun); err != nil || complete || length != 3 {
		t.Errorf("the begun one: %d bytes, %v, %v", length, complete, err)
	}
	if lacks := b.lacks(); !slices.Equal(lacks, []string{begun}) {
		t.Errorf("it lacks %v, want only the begun one", lacks)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v are left; want the two that the spec names", entries, err)
	}
	if err := b.put(t.Context(), begun, Part{Offset: 3, Total: 5}, strings.NewReader("un")); err != nil {
		t.Error(err)
	}
	if b.lacks() != nil {
		t.Errorf("in the end it lacks %v", b.lacks())
	}
}

func TestPutRefuses(t *testing.T) {
	b, err := openBlobs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("some bytes")
	sum := sumOf(data)
	if err := b.want(named(sum)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		digest string
		part   Part
		body   string
		want   api.Code
	}{
		"not in the spec": {sumOf(nil), Part{Total: 0}, "", api.CodeNotFound},
		"no digest":       {"../spec.json", Part{Total: 3}, "abc", api.CodeNotFound},
		"too large":       {sum, Part{Total: MaxBlob + 1}, "", api.CodeTooLarge},
		"negative":        {sum, Part{Offset: -1, Total: 10}, "", api.CodeInvalid},
		"beyond the end":  {sum, Part{Offset: 11, Total: 10}, "", api.CodeInvalid},
		"leaves a hole":   {sum, Part{Offset: 3, Total: 10}, "e bytes", api.CodeConflict},
		"too short":       {sum, Part{Total: 10}, "some", api.CodeInvalid},
		"too long":        {sum, Part{Total: 4}, "some bytes", api.CodeTooLarge},
		"another":         {sum, Part{Total: 10}, "some bites", api.CodeInvalid},
	} {
		if err := b.put(t.Context(), test.digest, test.part, strings.NewReader(test.body)); api.CodeFrom(err) != test.want {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	if err := b.put(t.Context(), sum, Part{Total: 10}, bytes.NewReader(data)); err != nil {
		t.Errorf("after all that the right one: %v", err)
	}
}

// A blob comes once at a time, and one that no spec names any more when it has come is not kept.
func TestSpecChangesWhileABlobComes(t *testing.T) {
	dir := t.TempDir()
	b, err := openBlobs(dir)
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("some bytes")
	sum := sumOf(data)
	if err := b.want(named(sum)); err != nil {
		t.Fatal(err)
	}
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- b.put(t.Context(), sum, Part{Total: int64(len(data))}, reader) }()
	if _, err := writer.Write(data[:4]); err != nil {
		t.Fatal(err)
	}
	if err := b.put(t.Context(), sum, Part{Total: int64(len(data))}, bytes.NewReader(data)); api.CodeFrom(err) != api.CodeConflict {
		t.Errorf("a second sender gets %v, want %s", err, api.CodeConflict)
	}
	if err := b.want(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(data[4:]); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 || b.complete(sum) {
		t.Errorf("%v, %v are left", entries, err)
	}
}

func TestLacksAreSaid(t *testing.T) {
	none := State{Revision: 1}
	some := State{Revision: 1, Lacks: []string{"a"}}
	if lines := some.Lines(nil); len(lines) != 1 || !slices.Equal(lines[0].Lacks, some.Lacks) {
		t.Errorf("the first line is %+v", lines)
	}
	if lines := some.Lines(&none); len(lines) != 1 || !slices.Equal(lines[0].Lacks, some.Lacks) {
		t.Errorf("when it begins to lack something it says %+v", lines)
	}
	if lines := some.Lines(&some); lines != nil {
		t.Errorf("without news it says %+v", lines)
	}
	if lines := none.Lines(&some); lines != nil {
		t.Errorf("when nothing lacks any more it says %+v", lines)
	}
}
