package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

func change[R any](t *testing.T, s *Store, fn func(tx *Tx) (R, error)) (out R, err error) {
	t.Helper()
	err = s.Update(t.Context(), "test", func(tx *Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	return out, err
}

func stepVolume(t *testing.T, s *Store, id api.VolumeID, event life.VolumeEvent, c VolumeChange) Volume {
	t.Helper()
	v, err := change(t, s, func(tx *Tx) (Volume, error) { return tx.StepVolume(id, event, c) })
	if err != nil {
		t.Fatalf("%s of %s: %v", event, id, err)
	}
	return v
}

// TestVolumeLife: a volume remembers its id and its machine, is orphaned with an end, and goes with the application as an orphan.
func TestVolumeLife(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	application, service := running(t, s, "app")
	n := ready(t, s, reserve(t, s, service, 1)[0].ID)
	v, err := change(t, s, func(tx *Tx) (Volume, error) {
		return tx.CreateVolume(NewVolume{Application: application.ID, Name: "files", Cloud: "default", SizeMiB: 64, Node: n.ID})
	})
	if err != nil || v.State != api.VolumeWanted || v.Mount != "files" || !strings.HasPrefix(v.Token, string(v.ID)+"-") {
		t.Fatalf("created as %+v, %v", v, err)
	}
	for _, name := range []string{"files", "FILES"} {
		_, err := change(t, s, func(tx *Tx) (Volume, error) {
			return tx.CreateVolume(NewVolume{Application: application.ID, Name: name, SizeMiB: 64})
		})
		if !errors.Is(err, ErrExists) || errors.Is(err, ErrAlike) != (name == "FILES") {
			t.Errorf("a second volume %s: %v", name, err)
		}
	}
	stepVolume(t, s, v.ID, life.VolumeCreate, VolumeChange{})
	stepVolume(t, s, v.ID, life.VolumeCreated, VolumeChange{Volume: "vol1"})
	if v = stepVolume(t, s, v.ID, life.VolumeAttach, VolumeChange{Machine: "m1"}); v.Holder != n.ID || v.Machine != "m1" {
		t.Errorf("attaching: %+v", v)
	}
	if v = stepVolume(t, s, v.ID, life.VolumeAttached, VolumeChange{Device: "vdb"}); v.Device != "vdb" {
		t.Errorf("attached: %+v", v)
	}
	v, err = change(t, s, func(tx *Tx) (Volume, error) { return tx.AssignVolume(v.ID, "", service.ID, "node") })
	if err != nil || v.Node != "" || v.After == 0 {
		t.Errorf("its machine is lost: %+v, %v", v, err)
	}
	stepVolume(t, s, v.ID, life.VolumeDetach, VolumeChange{})
	if v = stepVolume(t, s, v.ID, life.VolumeDetached, VolumeChange{}); v.Holder != "" || v.Device != "" || v.Volume != "vol1" {
		t.Errorf("detached: %+v", v)
	}
	_, err = change(t, s, func(tx *Tx) (Volume, error) { return tx.StepVolume(v.ID, life.VolumeAttach, VolumeChange{}) })
	if !errors.Is(err, ErrConflict) {
		t.Errorf("attached to no machine: %v", err)
	}
	v = stepVolume(t, s, v.ID, life.VolumeAbandon, VolumeChange{Keep: time.Hour, Origin: "service x"})
	if v.Service != 0 || v.Until.Sub(v.Since) != time.Hour || v.Origin != "service x" {
		t.Errorf("orphan: %+v", v)
	}
	orphan, err := change(t, s, func(tx *Tx) (Volume, error) { return tx.FindOrphan(v.Owner, string(v.ID)) })
	if err != nil || orphan.ID != v.ID {
		t.Errorf("its owner finds %+v, %v", orphan, err)
	}
	if _, err := change(t, s, func(tx *Tx) (Volume, error) { return tx.FindOrphan(v.Owner+1, string(v.ID)) }); !errors.Is(err, ErrNotFound) {
		t.Errorf("another finds it: %v", err)
	}
	v, err = change(t, s, func(tx *Tx) (Volume, error) { return tx.RestoreVolume(v.ID, application.ID, "back") })
	if err != nil || v.State != api.VolumeAvailable || v.Name != "back" || v.Mount != "back" || !v.Until.IsZero() {
		t.Errorf("restored: %+v, %v", v, err)
	}
	if _, err := change(t, s, func(tx *Tx) (Volume, error) { return tx.FindVolume(application.ID, "back") }); err != nil {
		t.Error(err)
	}
}

// TestVolumesOfAnApplication: an application waits for its volumes, which go on without it as orphans.
func TestVolumesOfAnApplication(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	application, _ := running(t, s, "app")
	v, err := change(t, s, func(tx *Tx) (Volume, error) {
		return tx.CreateVolume(NewVolume{Application: application.ID, Automatic: true, Mount: "data", SizeMiB: 64})
	})
	if err != nil || v.Name != "data-"+string(v.ID) {
		t.Fatalf("created as %+v, %v", v, err)
	}
	purge := func(tx *Tx) (bool, error) {
		if _, err := tx.SetApplicationWanted(application.ID, ApplicationDeleted); err != nil {
			return false, err
		}
		return true, tx.PurgeApplication(application.ID)
	}
	if _, err := change(t, s, purge); !errors.Is(err, ErrConflict) {
		t.Errorf("purged with a volume: %v", err)
	}
	stepVolume(t, s, v.ID, life.VolumeCreate, VolumeChange{})
	stepVolume(t, s, v.ID, life.VolumeCreated, VolumeChange{Volume: "vol1"})
	stepVolume(t, s, v.ID, life.VolumeAbandon, VolumeChange{})
	if _, err := change(t, s, purge); err != nil {
		t.Error(err)
	}
	left, err := change(t, s, func(tx *Tx) ([]Volume, error) { return tx.LeftVolumes("") })
	if err != nil || len(left) != 1 || left[0].Application != 0 {
		t.Errorf("left are %+v, %v", left, err)
	}
}
