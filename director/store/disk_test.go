package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a file system of 1 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount a small file system (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	s := openStore(t, dir, Options{})
	put := func(name string, size int) error {
		return s.Update(t.Context(), "put", func(tx *Tx) error { return tx.PutSecret(name, make([]byte, size)) })
	}
	if err := put("small", 100); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	_ = os.WriteFile(ballast, bytes.Repeat([]byte{1}, 1<<20), 0o600) // writes what still fits
	if err := put("large", 300_000); !errors.Is(err, ErrFull) {
		t.Fatalf("write to a full disk: %v, want ErrFull", err)
	}
	view(t, s, func(r *Read) error { // reading goes on
		if _, err := r.Secret("large"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the refused write is there: %v", err)
		}
		_, err := r.Secret("small")
		return err
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := put("large", 300_000); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLockedByAnotherProgram(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{BusyTimeout: 50 * time.Millisecond})
	other, err := connect(t.Context(), dsn(filepath.Join(dir, "director.db"), time.Second, "_txlock=immediate"), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer disconnect(other)
	put := func() error {
		return s.Update(t.Context(), "put", func(tx *Tx) error { return tx.PutSecret("x", nil) })
	}
	tx := other.Begin()
	if tx.Error != nil {
		t.Fatal(tx.Error)
	}
	if err := put(); !errors.Is(err, ErrBusy) {
		t.Errorf("locked: %v, want ErrBusy", err)
	}
	tx.Rollback()
	if err := put(); err != nil {
		t.Errorf("unlocked again: %v", err)
	}
}

func TestReadOnlyDatabase(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	if err := s.write.Exec("PRAGMA query_only = true").Error; err != nil {
		t.Fatal(err)
	}
	err := s.Update(t.Context(), "put", func(tx *Tx) error { return tx.PutSecret("x", nil) })
	if !errors.Is(err, ErrReadOnly) {
		t.Errorf("%v, want ErrReadOnly", err)
	}
}

func TestDamagedDatabase(t *testing.T) {
	dir := t.TempDir()
	if err := openStore(t, dir, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "director.db")
	if err := os.WriteFile(file, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v, want ErrDamaged", err)
	}
}
