package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// batch runs updates that wait at the same time, and so share a commit, and gives their errors.
func batch(t *testing.T, s *Store, updates ...func(tx *Tx) error) []error {
	t.Helper()
	errs := make([]error, len(updates))
	begun, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		update(t, s, func(*Tx) error {
			close(begun)
			<-release
			return nil
		})
	})
	<-begun
	for i, fn := range updates {
		all.Go(func() { errs[i] = s.Update(t.Context(), fmt.Sprintf("update%d", i), fn) })
		await(s, i+1)
	}
	close(release)
	all.Wait()
	return errs
}

// await waits until so many updates wait.
func await(s *Store, count int) {
	waiting := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.waiting)
	}
	for waiting() < count {
		time.Sleep(time.Millisecond)
	}
}

func put(name string) func(*Tx) error {
	return func(tx *Tx) error { return tx.PutSecret(name, []byte(name)) }
}

func has(t *testing.T, s *Store, name string) bool {
	t.Helper()
	err := s.View(t.Context(), func(r *Read) error { return second(r.Secret(name)) })
	if err != nil && !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	return err == nil
}

// What fails in a shared commit is taken back alone.
func TestSharedCommit(t *testing.T) {
	boom := errors.New("boom")
	var published []string
	s := openStore(t, t.TempDir(), Options{Published: func(events []Event) {
		for _, e := range events {
			published = append(published, e.Kind)
		}
	}})
	a, _ := running(t, s, "app")
	published = nil
	event := func(kind string) func(tx *Tx) error {
		return func(tx *Tx) error { return second(tx.AddEvent(Event{Application: a.ID, Kind: kind})) }
	}
	cancelled, cancel := context.WithCancel(t.Context())
	errs := batch(t, s, put("a"),
		func(tx *Tx) error { return errors.Join(put("b")(tx), event("b")(tx), boom) },
		func(tx *Tx) error { return errors.Join(put("c")(tx), event("c")(tx)) },
		func(tx *Tx) error { return errors.Join(put("a")(tx), second(tx.Secret("c"))) }, // sees those before it
		func(tx *Tx) error { cancel(); return put("d")(tx) },
	)
	if want := []error{nil, boom, nil, nil, nil}; !slices.EqualFunc(errs, want, func(got, want error) bool { return errors.Is(got, want) }) {
		t.Errorf("errors %v, want %v", errs, want)
	}
	for name, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if has(t, s, name) != want {
			t.Errorf("secret %s is there: %v, want %v", name, !want, want)
		}
	}
	if want := []string{"c"}; !slices.Equal(published, want) {
		t.Errorf("published %q, want %q", published, want)
	}
	if err := s.Update(cancelled, "late", put("e")); !errors.Is(err, context.Canceled) || has(t, s, "e") {
		t.Errorf("an update whose context has ended: %v", err)
	}
}

// Whoever's goroutine runs an update that panics, it is its own caller that hears of it.
func TestSharedCommitAndAPanic(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	heard := make(chan any, 1)
	begun, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		update(t, s, func(*Tx) error { close(begun); <-release; return nil })
	})
	<-begun
	all.Go(func() { update(t, s, put("before")) })
	await(s, 1)
	all.Go(func() {
		defer func() { heard <- recover() }()
		_ = s.Update(t.Context(), "faulty", func(tx *Tx) error { panic(fmt.Sprint("fault ", put("faulty")(tx))) })
	})
	await(s, 2)
	all.Go(func() { update(t, s, put("after")) })
	await(s, 3)
	close(release)
	all.Wait()
	if got := <-heard; got != "fault <nil>" {
		t.Errorf("heard %v", got)
	}
	if !has(t, s, "before") || has(t, s, "faulty") || !has(t, s, "after") {
		t.Error("the others must be there, and nothing of the faulty one")
	}
}

// When the disk is full nobody of a shared commit is told that it has written.
func TestSharedCommitAndAFullDisk(t *testing.T) {
	dir := smallDisk(t)
	s := openStore(t, dir, Options{})
	_ = os.WriteFile(filepath.Join(dir, "ballast"), bytes.Repeat([]byte{1}, 1<<20), 0o600) // writes what still fits
	errs := batch(t, s, func(tx *Tx) error { return tx.PutSecret("large", make([]byte, 300_000)) }, put("small"))
	for i, name := range []string{"large", "small"} {
		if !errors.Is(errs[i], ErrFull) || has(t, s, name) {
			t.Errorf("%s: %v, want ErrFull and nothing written", name, errs[i])
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
