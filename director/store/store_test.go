package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"conpaas/client/api"
)

func TestSecondDirectorIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	_, err := Open(t.Context(), dir, Options{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("second open: %v, want ErrInUse with process id and directory", err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("lock beside a director: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	release, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("open beside a lock: %v", err)
	}
	release()
	openStore(t, dir, Options{})
}

func TestEveryOpenRaisesTheFence(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	var last Installation
	for i := range 3 {
		s := openStore(t, dir, Options{Now: c.Now})
		got := s.Installation()
		if i == 0 {
			if len(got.ID) != 12 || got.Name != "conpaas" || !got.Created.Equal(c.now) {
				t.Errorf("installation %+v", got)
			}
		} else if got.Fence <= last.Fence || got.ID != last.ID || !got.Created.Equal(last.Created) {
			t.Errorf("opening again gives %+v after %+v", got, last)
		}
		last = got
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, dir, Options{Deployment: "other", Now: c.Now})
	if got := s.Installation(); got.Name != "other" || got.ID != last.ID {
		t.Errorf("with another name: %+v", got)
	}
}

// A database restored from a backup must begin with a higher fence than the nodes have seen of the lost one.
func TestRestoredDatabaseHasHigherFence(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := openStore(t, dir, Options{Now: c.Now})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	restored := t.TempDir()
	for _, name := range []string{"director.db", "secret.key"} {
		copyFile(t, filepath.Join(dir, name), filepath.Join(restored, name))
	}
	var seen uint64
	for range 5 {
		c.now = c.now.Add(3e9)
		s = openStore(t, dir, Options{Now: c.Now})
		seen = s.Installation().Fence
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	c.now = c.now.Add(1e9)
	if got := openStore(t, restored, Options{Now: c.Now}).Installation().Fence; got <= seen {
		t.Errorf("fence %d after the restore, nodes have seen %d", got, seen)
	}
}

func TestFilesAreForTheOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "a b?%#&")
	s := openStore(t, dir, Options{})
	update(t, s, func(tx *Tx) error { return tx.PutSecret("x", []byte("y")) })
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, e.Name())
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", e.Name(), info.Mode().Perm())
		}
	}
	want := []string{"director.db", "director.db-shm", "director.db-wal", "lock", "secret.key"}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("files of the data directory (-want +got):\n%s", d)
	}
}

func TestKeyFileMustBelong(t *testing.T) {
	tests := map[string]struct {
		spoil func(path string) error
		want  string
	}{
		"missing":  {os.Remove, "restore it from the backup"},
		"readable": {func(p string) error { return os.Chmod(p, 0o640) }, "chmod 600"},
		"short":    {func(p string) error { return os.WriteFile(p, []byte("abcd"), 0o600) }, "64 hexadecimal digits"},
		"foreign": {func(p string) error {
			return os.WriteFile(p, []byte(strings.Repeat("0f", 32)), 0o600)
		}, "belongs to another database"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := openStore(t, dir, Options{}).Close(); err != nil {
				t.Fatal(err)
			}
			key := filepath.Join(dir, "secret.key")
			original, err := os.ReadFile(key)
			if err != nil {
				t.Fatal(err)
			}
			if err := test.spoil(key); err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), dir, Options{})
			if !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), key) {
				t.Errorf("open: %v, want ErrKeyFile about %q", err, test.want)
			}
			if err := errors.Join(os.RemoveAll(key), os.WriteFile(key, original, 0o600)); err != nil {
				t.Fatal(err)
			}
			openStore(t, dir, Options{})
		})
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := openStore(t, t.TempDir(), Options{})
	running(t, s, "app")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
	if err := s.Update(t.Context(), "late", func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("update after close: %v", err)
	}
	if err := s.View(t.Context(), func(*Read) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("view after close: %v", err)
	}
}

func TestParallelWritersAndReaders(t *testing.T) {
	var mu sync.Mutex
	var published []int64
	s := openStore(t, t.TempDir(), Options{Published: func(events []Event) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			published = append(published, e.ID)
		}
	}})
	a, _ := running(t, s, "app")
	const writers, each = 20, 10
	var wait sync.WaitGroup
	for range writers {
		wait.Go(func() {
			for range each {
				err := s.Update(t.Context(), "count", func(tx *Tx) error {
					now, err := tx.Application(a.ID) // read, then write: lost updates would show
					if err != nil {
						return err
					}
					_, err = tx.RenameApplication(a.ID, "app"+strconv.FormatUint(now.Revision, 10))
					if err == nil {
						_, err = tx.AddEvent(Event{Application: a.ID, Kind: "test"})
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
		wait.Go(func() {
			for range each {
				err := s.View(t.Context(), func(r *Read) error {
					first, err := r.Application(a.ID)
					if err != nil {
						return err
					}
					again, err := r.Application(a.ID)
					if first.Revision != again.Revision {
						t.Errorf("one view sees revision %d, then %d", first.Revision, again.Revision)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	view(t, s, func(r *Read) error {
		got, err := r.Application(a.ID)
		if want := a.Revision + writers*each; got.Revision != want {
			t.Errorf("revision %d, want %d", got.Revision, want)
		}
		return err
	})
	for i := 1; i < len(published); i++ {
		if published[i] != published[i-1]+1 {
			t.Fatalf("event %d is published after %d", published[i], published[i-1])
		}
	}
	if len(published) < writers*each {
		t.Errorf("%d events published", len(published))
	}
}

func TestUpdateEndsWithItsContext(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	inside, goOn := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- s.Update(t.Context(), "slow", func(tx *Tx) error {
			close(inside)
			<-goOn
			return tx.PutSecret("slow", nil)
		})
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Update(ctx, "waiting", func(*Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a waiting update ends with %v", err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
	err := s.Update(ctx, "cancelled", func(tx *Tx) error { return tx.PutSecret("cancelled", nil) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled update ends with %v", err)
	}
	view(t, s, func(r *Read) error {
		if _, err := r.Secret("cancelled"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a cancelled update has written: %v", err)
		}
		_, err := r.Secret("slow")
		return err
	})
}

func TestFailedUpdateWritesNothing(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{Published: func(e []Event) { t.Errorf("published %v", e) }})
	boom := errors.New("boom")
	updateFails(t, s, boom, func(tx *Tx) error {
		if _, err := tx.CreateUser(User{Name: "u", Role: api.RoleUser}); err != nil {
			return err
		}
		if _, err := tx.AddEvent(Event{Kind: "x"}); err != nil {
			return err
		}
		return boom
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Update(t.Context(), "panic", func(tx *Tx) error {
			_, _ = tx.CreateUser(User{Name: "u", Role: api.RoleUser})
			panic("boom")
		})
	}()
	update(t, s, func(tx *Tx) error {
		_, err := tx.FindUser("u")
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("the user is there: %v", err)
		}
		return nil
	})
}

func TestFailpoints(t *testing.T) {
	boom := errors.New("boom")
	var fail string
	s := openStore(t, t.TempDir(), Options{Failpoint: func(name string) error {
		if name == fail {
			return boom
		}
		return nil
	}})
	put := func(name string) error {
		return s.Update(t.Context(), "put", func(tx *Tx) error { return tx.PutSecret(name, []byte("v")) })
	}
	has := func(name string) bool {
		err := s.View(t.Context(), func(r *Read) error {
			_, err := r.Secret(name)
			return err
		})
		return err == nil
	}
	if err := put("a"); err != nil || !has("a") {
		t.Fatal(err)
	}
	want := []string{"open/after", "open/before", "put/after", "put/before"}
	if d := cmp.Diff(want, s.Failpoints()); d != "" {
		t.Errorf("failpoints (-want +got):\n%s", d)
	}
	fail = "put/before"
	if err := put("b"); !errors.Is(err, boom) || has("b") {
		t.Errorf("before the commit: error %v, written %v", err, has("b"))
	}
	fail = "put/after"
	if err := put("c"); !errors.Is(err, boom) || !has("c") {
		t.Errorf("after the commit: error %v, written %v", err, has("c"))
	}
}

// BenchmarkUpdate is a read, a change and an event in one transaction, each on disk before the next.
func BenchmarkUpdate(b *testing.B) {
	s := openStore(b, b.TempDir(), Options{})
	a, _ := running(b, s, "app")
	for b.Loop() {
		update(b, s, func(tx *Tx) error {
			_, err := tx.SetApplicationWanted(a.ID, ApplicationRunning)
			if err == nil {
				_, err = tx.AddEvent(Event{Application: a.ID, Kind: "bench"})
			}
			return err
		})
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
