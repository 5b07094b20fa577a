package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
)

// hosting makes an application with a service that hosts code.
func hosting(t *testing.T, s *Store) (service Service) {
	t.Helper()
	application, _ := running(t, s, "app")
	update(t, s, func(tx *Tx) (err error) {
		service, err = tx.CreateService(application.ID, NewService{Type: "php", Name: "shop", Cloud: "default", Code: "code-default"})
		return err
	})
	return service
}

func version(service Service, id string) CodeVersion {
	return CodeVersion{
		Application: service.Application, Service: service.ID, ID: id, Description: "second try", Filename: "shop.tar.gz", Format: "tar.gz",
		Size: 42, SHA256: "5e" + id,
	}
}

func TestCodeVersions(t *testing.T) {
	clock := newClock()
	s := openStore(t, t.TempDir(), Options{Now: clock.Now})
	service := hosting(t, s)
	if service.CodeWanted != "code-default" || service.CodeServing != "code-default" {
		t.Errorf("a new service wants %q and serves %q", service.CodeWanted, service.CodeServing)
	}
	var added CodeVersion
	clock.now = clock.now.Add(time.Minute)
	update(t, s, func(tx *Tx) (err error) {
		added, err = tx.AddCodeVersion(version(service, "code-aaaaaa"))
		return err
	})
	want := version(service, "code-aaaaaa")
	want.Created = clock.now
	if d := cmp.Diff(want, added); d != "" {
		t.Errorf("added (-want +got):\n%s", d)
	}
	updateFails(t, s, ErrExists, func(tx *Tx) error { return second(tx.AddCodeVersion(version(service, "code-aaaaaa"))) })
	updateFails(t, s, ErrNotFound, func(tx *Tx) error {
		lost := version(service, "code-bbbbbb")
		lost.Service = 77
		return second(tx.AddCodeVersion(lost))
	})
	view(t, s, func(r *Read) error {
		versions, err := r.ServiceCode(service.Application, service.ID)
		if len(versions) != 2 || versions[0].ID != "code-default" || versions[1] != added {
			t.Errorf("the versions are %+v", versions)
		}
		blobs, err2 := r.Blobs()
		if d := cmp.Diff(map[string]bool{added.SHA256: true}, blobs); d != "" || err2 != nil {
			t.Errorf("the archives: %v\n%s", err2, d)
		}
		return err
	})
}

func TestCodeIsServedOrRefused(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	service := hosting(t, s)
	application, id := service.Application, service.ID
	update(t, s, func(tx *Tx) error { return second(tx.AddCodeVersion(version(service, "code-aaaaaa"))) })
	updateFails(t, s, ErrNotFound, func(tx *Tx) error { return second(tx.SetCodeWanted(application, id, "code-nothing")) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return second(tx.CodeServes(application, id, "code-aaaaaa")) })

	want := func(version string) {
		t.Helper()
		before := revisionOf(t, s, application)
		update(t, s, func(tx *Tx) error { return second(tx.SetCodeWanted(application, id, version)) })
		if after := revisionOf(t, s, application); after != before+1 {
			t.Errorf("revision %d follows %d", after, before)
		}
	}
	is := func(wanted, serving, reason string) {
		t.Helper()
		view(t, s, func(r *Read) error {
			now, err := r.Service(application, id)
			if err != nil {
				return err
			}
			v, err := r.CodeVersion(application, id, "code-aaaaaa")
			if now.CodeWanted != wanted || now.CodeServing != serving || v.Reason != reason {
				t.Errorf("wanted %q, serving %q, reason %q; want %q, %q, %q", now.CodeWanted, now.CodeServing, v.Reason, wanted, serving, reason)
			}
			return err
		})
	}
	want("code-aaaaaa")
	is("code-aaaaaa", "code-default", "")
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.DeleteCodeVersion(application, id, "code-aaaaaa") })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.DeleteCodeVersion(application, id, "code-default") })
	update(t, s, func(tx *Tx) error { return second(tx.RefuseCode(application, id, "code-aaaaaa", "n3: syntax error")) })
	is("code-default", "code-default", "n3: syntax error")
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return second(tx.RefuseCode(application, id, "code-aaaaaa", "again")) })

	want("code-aaaaaa")
	is("code-aaaaaa", "code-default", "")
	update(t, s, func(tx *Tx) error { return second(tx.CodeServes(application, id, "code-aaaaaa")) })
	is("code-aaaaaa", "code-aaaaaa", "")
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return second(tx.RefuseCode(application, id, "code-aaaaaa", "late")) })
	update(t, s, func(tx *Tx) error { return tx.DeleteCodeVersion(application, id, "code-default") })
}

// A service takes its versions and secrets along.
func TestCodeGoesWithItsService(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	service := hosting(t, s)
	secret := api.Secret("swordfish-of-the-sessions")
	update(t, s, func(tx *Tx) error {
		if _, err := tx.AddCodeVersion(version(service, "code-aaaaaa")); err != nil {
			return err
		}
		return tx.PutServiceSecret(service.Application, service.ID, "sessions", secret)
	})
	updateFails(t, s, ErrExists, func(tx *Tx) error { return tx.PutServiceSecret(service.Application, service.ID, "sessions", "other") })
	view(t, s, func(r *Read) error {
		secrets, err := r.ServiceSecrets(service.Application)
		if got := secrets[service.ID]["sessions"]; got != secret || len(secrets) != 1 {
			t.Errorf("the secrets are %v, %q", secrets, got.Reveal())
		}
		return err
	})
	for _, name := range []string{"director.db", "director.db-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(secret.Reveal())) {
			t.Errorf("%s holds the secret in clear", name)
		}
	}
	update(t, s, func(tx *Tx) error {
		if _, err := tx.SetServiceWanted(service.Application, service.ID, ServiceRemoved); err != nil {
			return err
		}
		return tx.PurgeService(service.Application, service.ID)
	})
	view(t, s, func(r *Read) error {
		blobs, err := r.Blobs()
		secrets, err2 := r.ServiceSecrets(service.Application)
		if len(blobs)+len(secrets) != 0 || err2 != nil {
			t.Errorf("left: %v, %v, %v", blobs, secrets, err2)
		}
		return err
	})
}
