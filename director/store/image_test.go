package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
)

// An image is known by its cloud and its id there; one of a cloud is current at most, and is not forgotten while it is.
func TestImages(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := openStore(t, t.TempDir(), Options{Now: func() time.Time { return now }})
	one := Image{
		Cloud: "default", ID: "i1", Name: "first", Format: api.ImageRootFS, Architecture: "amd64", Size: 7, SHA256: "ab",
		Services: []api.ServiceType{api.Helloworld, api.PHP}, Version: "1.0", By: "admin",
	}
	two, other := one, one
	two.ID, two.Services, other.Cloud = "i2", []api.ServiceType{}, "other"
	do := func(f func(tx *Tx) error) error { return s.Update(t.Context(), "test", f) }
	for _, i := range []Image{one, two, other} {
		if err := do(func(tx *Tx) error { _, err := tx.AddImage(i); return err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := do(func(tx *Tx) error { _, err := tx.AddImage(one); return err }); !errors.Is(err, ErrExists) {
		t.Errorf("added twice: %v", err)
	}
	for _, id := range []string{"i1", "i2"} {
		if err := do(func(tx *Tx) error { return tx.UseImage("default", id) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := do(func(tx *Tx) error { return tx.UseImage("other", "i2") }); !errors.Is(err, ErrNotFound) {
		t.Errorf("use of an unknown one: %v", err)
	}
	two.Current = true
	one.Created, two.Created = now, now
	look := func(want ...Image) {
		t.Helper()
		err := s.View(t.Context(), func(r *Read) error {
			list, err := r.Images("default")
			if d := cmp.Diff(want, list); d != "" {
				t.Error(d)
			}
			current, err2 := r.CurrentImage("default")
			if len(want) > 1 && current.ID != "i2" || len(want) == 1 && current.ID != "" {
				t.Errorf("current is %+v", current)
			}
			return errors.Join(err, err2)
		})
		if err != nil {
			t.Error(err)
		}
	}
	look(one, two)
	if err := do(func(tx *Tx) error { return tx.DeleteImage("default", "i2") }); !errors.Is(err, ErrConflict) {
		t.Errorf("deleted while it is current: %v", err)
	}
	if err := do(func(tx *Tx) error { return tx.UseImage("default", "") }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := do(func(tx *Tx) error { return tx.DeleteImage("default", "i2") }); err != nil {
			t.Error(err)
		}
	}
	look(one)
}
