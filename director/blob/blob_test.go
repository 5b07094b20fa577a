package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"conpaas/client/api"
)

func testBlobs(t *testing.T) *Dir {
	t.Helper()
	b, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b.limit = 1000
	b.space = func() (uint64, uint64, error) { return 10 << 30, 20 << 30, nil }
	return b
}

func (d *Dir) names(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestUploadsAreBounded(t *testing.T) {
	t.Parallel()
	b := testBlobs(t)
	space := func(free, total uint64) func() (uint64, uint64, error) {
		return func() (uint64, uint64, error) { return free, total, nil }
	}
	later := 0
	for name, c := range map[string]struct {
		space     func() (uint64, uint64, error)
		announced int64
		length    int
		want      api.Code
	}{
		"as large as allowed":            {b.space, 1000, 1000, ""},
		"nobody says how large":          {b.space, -1, 1000, ""},
		"announced as too large":         {b.space, 1001, 0, api.CodeTooLarge},
		"too large":                      {b.space, -1, 1001, api.CodeTooLarge},
		"more than announced":            {b.space, 10, 1001, api.CodeTooLarge},
		"exactly the reserve is left":    {space(512<<20+1000, 1<<30), 1000, 1000, ""},
		"less than 512 MiB would be":     {space(512<<20+999, 1<<30), 1000, 1000, api.CodeFull},
		"less than 512 MiB is":           {space(511<<20, 1<<30), -1, 10, api.CodeFull},
		"less than a tenth would be":     {space(10<<30+999, 100<<30), 1000, 1000, api.CodeFull},
		"more than a tenth will be left": {space(10<<30+1000, 100<<30), 1000, 1000, ""},
		"the disk cannot be asked":       {func() (uint64, uint64, error) { return 0, 0, errors.New("no answer") }, 10, 10, api.CodeInternal},
		"others fill the disk meanwhile": {func() (uint64, uint64, error) {
			if later++; later > 1 {
				return 0, 1 << 30, nil
			}
			return 1 << 30, 1 << 30, nil
		}, 10, spaceEvery + 10, api.CodeFull},
	} {
		b.space = c.space
		b.limit = 1000
		if c.length > spaceEvery {
			b.limit = 2 * spaceEvery
		}
		u, err := b.Receive(t.Context(), bytes.NewReader(make([]byte, c.length)), c.announced)
		if code := api.CodeFrom(err); code != c.want {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
		if err == nil {
			if u.Size != int64(c.length) {
				t.Errorf("%s: %d bytes have come", name, u.Size)
			}
			if err := u.Drop(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if left := b.names(t); len(left) > 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
}

func TestUploadThatBreaksOffLeavesNothing(t *testing.T) {
	t.Parallel()
	b := testBlobs(t)
	broken := io.MultiReader(strings.NewReader("begin"), errReader{})
	if _, err := b.Receive(t.Context(), broken, -1); !errors.Is(err, errBroken) {
		t.Errorf("a body that breaks off: %v", err)
	}
	b.limit = 3 * spaceEvery
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Receive(ctx, bytes.NewReader(make([]byte, 2*spaceEvery)), -1); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has left: %v", err)
	}
	if left := b.names(t); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

var errBroken = errors.New("broken off")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

func TestBlobsAreKeptWhileTheyAreNamed(t *testing.T) {
	t.Parallel()
	b := testBlobs(t)
	put := func(text string, name error) string {
		t.Helper()
		u, err := b.Receive(t.Context(), strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := u.Drop(); err != nil {
				t.Error(err)
			}
		}()
		if err := b.Keep(u, func() error { return name }); !errors.Is(err, name) {
			t.Errorf("keep %q: %v; want %v", text, err, name)
		}
		return u.SHA256
	}
	one := put("one", nil)
	if again := put("one", nil); again != one {
		t.Errorf("the same archive is %s, then %s", one, again)
	}
	two := put("two", errBroken) // which may have been written down all the same
	for _, kept := range []map[string]bool{{one: true, two: true}, {one: true}} {
		if err := b.Prune(func() (map[string]bool, error) { return kept, nil }, false); err != nil || len(b.names(t)) != len(kept) {
			t.Errorf("the blobs are %v, %v; want %v", b.names(t), err, kept)
		}
	}
	file, size, err := b.Open(one)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if text, err := io.ReadAll(file); string(text) != "one" || size != 3 || err != nil {
		t.Errorf("the blob is %q of %d bytes, %v", text, size, err)
	}

	three := put("three", nil)
	if err := os.WriteFile(b.path("upload-123"), []byte("interrupted"), 0o600); err != nil {
		t.Fatal(err)
	}
	keep := func() (map[string]bool, error) { return map[string]bool{three: true}, nil }
	if err := b.Prune(func() (map[string]bool, error) { return nil, errBroken }, true); !errors.Is(err, errBroken) || len(b.names(t)) != 3 {
		t.Errorf("nobody knows what is named: %v, left %v", err, b.names(t))
	}
	if err := b.Prune(keep, false); err != nil || len(b.names(t)) != 2 {
		t.Errorf("prune: %v, left %v", err, b.names(t))
	}
	if err := b.Prune(keep, true); err != nil || len(b.names(t)) != 1 {
		t.Errorf("prune at the start: %v, left %v", err, b.names(t))
	}
}
