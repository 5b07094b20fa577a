package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A look from outside sees the same beside a running director and without one, and changes nothing.
func TestExamineBesideADirectorAndWithout(t *testing.T) {
	dir := t.TempDir()
	if e := Examine(t.Context(), dir, ""); e.Exists || e.Director != 0 || e.Damage != nil || e.Key != nil {
		t.Fatalf("of an empty directory: %+v", e)
	}
	now := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	s := openStore(t, dir, Options{Now: func() time.Time { return now }})
	update(t, s, func(tx *Tx) error {
		if _, err := tx.AddAuthority(AuthorityCA, []byte("certificate"), []byte("key"), true); err != nil {
			return err
		}
		_, err := tx.AddEvent(Event{Kind: "test", Text: "x"})
		return err
	})
	want := Examination{
		Director: os.Getpid(), Exists: true, Installation: s.Installation(), Newest: now, Authorities: [][]byte{[]byte("certificate")},
	}
	if diff := cmp.Diff(want, Examine(t.Context(), dir, "")); diff != "" {
		t.Errorf("beside a director (-want +got):\n%s", diff)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want.Director = 0
	if diff := cmp.Diff(want, Examine(t.Context(), dir, "")); diff != "" {
		t.Errorf("without a director (-want +got):\n%s", diff)
	}
	again := openStore(t, dir, Options{Now: func() time.Time { return now }})
	if got := again.Installation().Fence; got != want.Installation.Fence+1 {
		t.Errorf("the fence after two looks is %d, want %d", got, want.Installation.Fence+1)
	}
}

func TestExamineFindsDamage(t *testing.T) {
	dir := t.TempDir()
	if err := openStore(t, dir, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "secret.key")
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if e := Examine(t.Context(), dir, ""); !errors.Is(e.Key, ErrKeyFile) || e.Damage != nil {
		t.Errorf("with a key file that others read: key %v, damage %v", e.Key, e.Damage)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if err := makeKeyFile(key); err != nil {
		t.Fatal(err)
	}
	if e := Examine(t.Context(), dir, ""); !errors.Is(e.Key, ErrKeyFile) {
		t.Errorf("with the key file of another database: %v", e.Key)
	}
	file := filepath.Join(dir, "director.db")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text[4096:8192] {
		text[4096+i] ^= 0x55
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := Examine(t.Context(), dir, ""); !errors.Is(e.Damage, ErrDamaged) {
		t.Errorf("with a page overwritten: %v", e.Damage)
	}
	if err := os.WriteFile(file, []byte("no database at all, but a text that is longer than a header of one hundred bytes, as this one surely is"), 0o600); err != nil {
		t.Fatal(err)
	}
	if e := Examine(t.Context(), dir, ""); !errors.Is(e.Damage, ErrDamaged) {
		t.Errorf("without a database in the file: %v", e.Damage)
	}
}
