// Package blobs is where managers and agents keep the files that their specs name by SHA-256, for example archives of
// code.
//
// It is a cache: its owner can be sent everything again. A file has its name only once all of it is on the disk and its
// digest is right, so that whatever a killed program leaves behind is either whole or a beginning that goes on. It knows
// nothing of who sends blobs and what is in them.
package blobs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"conpaas/client/api"
)

const partSuffix = ".part"

var digests = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Valid tells whether a text has the form of a blob's name.
func Valid(digest string) bool { return digests.MatchString(digest) }

// Store is a directory of blobs. It may be used by several goroutines.
type Store struct {
	dir string
	who string

	mu    sync.Mutex
	wants map[string]bool // by the spec
	comes map[string]bool // being received
}

// Open opens a directory, which is made where there is none. who names its owner in errors, for example "this node".
func Open(dir, who string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory for blobs: %w", err)
	}
	return &Store{dir: dir, who: who, wants: map[string]bool{}, comes: map[string]bool{}}, nil
}

// Want says which blobs the newest spec names: they are received and no others. Names that are no digests are passed over.
func (s *Store) Want(named []string) {
	wants := make(map[string]bool, len(named))
	for _, digest := range named {
		if Valid(digest) {
			wants[digest] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wants = wants
}

// Prune removes what is neither wanted, nor being received, nor to be kept because it is in use.
func (s *Store) Prune(keep []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("prune blobs: %w", err)
	}
	var errs []error
	for _, e := range entries {
		digest := strings.TrimSuffix(e.Name(), partSuffix)
		if !s.wants[digest] && !s.comes[digest] && !slices.Contains(keep, digest) {
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// Lacks gives the blobs that are wanted and not here, in order; nil when there are none.
func (s *Store) Lacks() []string {
	s.mu.Lock()
	wants := slices.Sorted(maps.Keys(s.wants))
	s.mu.Unlock()
	var lacks []string
	for _, digest := range wants {
		if !s.Has(digest) {
			lacks = append(lacks, digest)
		}
	}
	return lacks
}

// Has tells whether a blob is here as a whole.
func (s *Store) Has(digest string) bool {
	blob, err := s.Find(digest)
	return err == nil && blob.Complete
}

// Find tells how much of a blob is here. api.CodeNotFound: nothing.
func (s *Store) Find(digest string) (api.Blob, error) {
	if !Valid(digest) {
		return api.Blob{}, api.Errorf(api.CodeNotFound, "%.80q is no SHA-256 in lower-case hex", digest)
	}
	for _, suffix := range []string{"", partSuffix} {
		info, err := os.Lstat(s.path(digest) + suffix)
		if err == nil && info.Mode().IsRegular() {
			return api.Blob{Length: info.Size(), Complete: suffix == ""}, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return api.Blob{}, fmt.Errorf("look for blob %s: %w", digest, err)
		}
	}
	return api.Blob{}, api.Errorf(api.CodeNotFound, "%s has nothing of blob %s", s.who, digest)
}

// Open gives a blob that is whole, and its size. The caller closes it.
func (s *Store) Open(digest string) (*os.File, int64, error) {
	if !Valid(digest) {
		return nil, 0, fmt.Errorf("blob %.80q: %w", digest, fs.ErrNotExist)
	}
	f, err := os.Open(s.path(digest))
	if err != nil {
		return nil, 0, fmt.Errorf("open blob %s: %w", digest, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open blob %s: %w", digest, err), f.Close())
	}
	return f, info.Size(), nil
}

// Verify removes a blob whose file is damaged, so that it is asked for again.
func (s *Store) Verify(digest string) error {
	sum, err := digestOf(s.path(digest))
	if err != nil || sum == digest {
		return err
	}
	return errors.Join(fmt.Errorf("blob %s was damaged on the disk of %s", digest, s.who), os.Remove(s.path(digest)))
}

func (s *Store) path(digest string) string { return filepath.Join(s.dir, digest) }

func digestOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("check blob: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("check blob: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
