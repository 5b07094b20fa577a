// Package shelf keeps things of one kind in a directory: each is a directory of its own, with a note of what it is, and appears and
// goes as a whole, whoever is killed at whatever moment. It knows nothing of what the things are.
package shelf

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"conpaas/client/daemon"
)

// partly begins the names of what is partly there.
const partly = "partly-"

// Shelf is the directory; R is the form of the notes. Its methods may be called from many goroutines, Tidy before all others.
type Shelf[R any] struct {
	Dir   string
	Kind  string             // of the things, such as "image"
	Place func(place string) // called where a crash must do no harm
}

// NewID gives an id that nothing has yet.
func (s Shelf[R]) NewID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return s.Kind + "-" + hex.EncodeToString(b[:])
}

// is tells whether a name is an id: they come from callers, and none may lead out of the directory.
func (s Shelf[R]) is(name string) bool {
	number, ok := strings.CutPrefix(name, s.Kind+"-")
	return ok && len(number) == 16 && strings.Trim(number, "0123456789abcdef") == ""
}

// Tidy makes the directory, and removes what was being added or removed when the last process that used it ended.
func (s Shelf[R]) Tidy() error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of %ss: %w", s.Kind, err)
	}
	left, err := filepath.Glob(s.path(partly + "*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		return fmt.Errorf("remove what is left of %ss: %w", s.Kind, err)
	}
	return nil
}

// List gives the notes of all things, in this order.
func (s Shelf[R]) List(order func(a, b R) int) ([]R, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the %ss: %w", s.Kind, err)
	}
	list := []R{}
	for _, e := range entries {
		r, err := s.Find(e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	slices.SortFunc(list, order)
	return list, nil
}

// Find gives the note of a thing. The error for one that is not there wraps fs.ErrNotExist.
func (s Shelf[R]) Find(id string) (r R, err error) {
	if !s.is(id) {
		return r, fmt.Errorf("%s %.80q: %w", s.Kind, id, fs.ErrNotExist)
	}
	text, err := os.ReadFile(s.note(id))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read %s %s: %w", s.Kind, id, err)
	}
	return r, nil
}

func (s Shelf[R]) path(name string) string { return filepath.Join(s.Dir, name) }

func (s Shelf[R]) note(name string) string { return filepath.Join(s.path(name), s.Kind+".json") }

// Write replaces the note of a thing.
func (s Shelf[R]) Write(name string, r R) error {
	text, err := json.Marshal(r)
	if err == nil {
		err = daemon.WriteFile(s.note(name), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("note %s: %w", name, err)
	}
	return nil
}

// Add keeps a thing, whose files fill makes in a directory. What fails leaves nothing.
func (s Shelf[R]) Add(id string, r R, fill func(dir string) error) (err error) {
	part := partly + id
	if err := os.Mkdir(s.path(part), 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.path(part)))
		}
	}()
	s.Place(s.Kind + ":directory")
	if err := fill(s.path(part)); err != nil {
		return err
	}
	s.Place(s.Kind + ":filled")
	if err := s.Write(part, r); err != nil {
		return err
	}
	if err := os.Rename(s.path(part), s.path(id)); err != nil {
		return err
	}
	s.Place(s.Kind + ":made")
	return s.flush()
}

// Remove removes a thing. One that is not there is no error.
func (s Shelf[R]) Remove(id string) error {
	if !s.is(id) {
		return nil
	}
	err := os.Rename(s.path(id), s.path(partly+id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		s.Place(s.Kind + ":removed")
	}
	if err = errors.Join(err, os.RemoveAll(s.path(partly+id))); err != nil {
		return fmt.Errorf("remove %s %s: %w", s.Kind, id, err)
	}
	return nil
}

// flush writes the names in the directory to the disk.
func (s Shelf[R]) flush() error {
	d, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
