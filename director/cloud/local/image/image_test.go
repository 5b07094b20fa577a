package image_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/image"
)

func spec(content []byte) cloud.ImageSpec {
	sum := sha256.Sum256(content)
	return cloud.ImageSpec{Name: "one", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

func store(t *testing.T) image.Store {
	t.Helper()
	s := image.Store{Dir: filepath.Join(t.TempDir(), "published")}
	if err := s.Tidy(); err != nil {
		t.Fatal(err)
	}
	return s
}

func entries(t *testing.T, s image.Store) (names []string) {
	t.Helper()
	list, err := os.ReadDir(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// What a director that was killed has left half-done is removed by the next one, and the rest stays.
func TestTidy(t *testing.T) {
	s := store(t)
	content := []byte("content")
	kept, err := s.Add(t.Context(), spec(content), bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(s.Dir, "partly-image-0123456789abcdef")
	if err := errors.Join(os.Mkdir(half, 0o700), os.WriteFile(filepath.Join(half, "content"), content[:3], 0o600)); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(); err != nil || len(list) != 1 {
		t.Errorf("listed: %v, %v", list, err)
	}
	if err := s.Tidy(); err != nil {
		t.Fatal(err)
	}
	if names := entries(t, s); len(names) != 1 || names[0] != string(kept.ID) {
		t.Errorf("there are %v, want %s", names, kept.ID)
	}
	_, file, err := s.Find(kept.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, content) {
		t.Errorf("content %q, %v", got, err)
	}
}

// A disk that would become too full is said before, and one that becomes full meanwhile leaves nothing.
func TestDiskFull(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 65<<20)
	for name, free := range map[string][]uint64{"before": {550 << 20}, "meanwhile": {700 << 20, 100 << 20}} {
		s := store(t)
		s.Space = func() (uint64, uint64, error) {
			now := free[0]
			free = free[min(1, len(free)-1):]
			return now, 1 << 30, nil
		}
		_, err := s.Add(t.Context(), spec(content), bytes.NewReader(content))
		if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "MiB free") {
			t.Errorf("%s: %v", name, err)
		}
		if names := entries(t, s); len(names) != 0 {
			t.Errorf("%s: it left %v", name, names)
		}
	}
}

// Ids come from callers: none leads out of the directory.
func TestHostileIDs(t *testing.T) {
	s := store(t)
	outside := filepath.Join(filepath.Dir(s.Dir), "outside")
	if err := errors.Join(os.Mkdir(outside, 0o700), os.WriteFile(filepath.Join(outside, "image.json"), []byte("{}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []cloud.ImageID{"../outside", "", ".", "..", "image-0123456789ABCDEF", "image-0123456789abcdef/..", "partly-image-0123456789abcdef"} {
		if _, _, err := s.Find(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("find %q: %v", id, err)
		}
		if err := s.Remove(id); err != nil {
			t.Errorf("remove %q: %v", id, err)
		}
	}
	if _, err := os.Stat(filepath.Join(outside, "image.json")); err != nil {
		t.Error(err)
	}
}
