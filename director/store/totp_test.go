package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"conpaas/client/api"
)

func newUser(t *testing.T, s *Store, name string) (u User) {
	t.Helper()
	update(t, s, func(tx *Tx) (err error) {
		u, err = tx.CreateUser(User{Name: name, Role: api.RoleAdmin})
		return err
	})
	return u
}

// The secret of a second factor is not in the database in clear, and opens in no other row.
func TestSecondFactorIsSealed(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	alice, bob := newUser(t, s, "alice"), newUser(t, s, "bob")
	secret := []byte("this is the secret of alice")
	update(t, s, func(tx *Tx) error { return tx.BeginTOTP(alice.ID, secret) })
	view(t, s, func(r *Read) error {
		got, err := r.TOTP(alice.ID)
		if !bytes.Equal(got.Secret, secret) || !got.Since.IsZero() {
			t.Errorf("the second factor is %+v", got)
		}
		return err
	})
	files, err := filepath.Glob(filepath.Join(dir, "director.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of the database, %v", len(files), err)
	}
	for _, name := range files {
		if text, err := os.ReadFile(name); err != nil || bytes.Contains(text, secret) {
			t.Errorf("%s has the secret (%v)", name, err)
		}
	}
	update(t, s, func(tx *Tx) error {
		return tx.db.Exec("UPDATE users SET totp_sealed = (SELECT totp_sealed FROM users WHERE id = ?) WHERE id = ?", alice.ID, bob.ID).Error
	})
	viewFails := s.View(t.Context(), func(r *Read) error { return second(r.TOTP(bob.ID)) })
	if viewFails == nil {
		t.Error("the secret of alice opens as that of bob")
	}
}

func TestStepsAndRecoveryCodesAreUsedUp(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	alice, bob := newUser(t, s, "alice"), newUser(t, s, "bob")
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.UseStep(alice.ID, 1) })
	update(t, s, func(tx *Tx) error { return tx.BeginTOTP(alice.ID, []byte("a")) })
	update(t, s, func(tx *Tx) error { return tx.BeginTOTP(alice.ID, []byte("b")) })
	update(t, s, func(tx *Tx) error { return tx.ConfirmTOTP(alice.ID, 7, []string{"x", "y"}) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.BeginTOTP(alice.ID, []byte("c")) })
	for _, step := range []int64{7, 6} {
		updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.UseStep(alice.ID, step) })
	}
	update(t, s, func(tx *Tx) error { return tx.UseStep(alice.ID, 8) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.UseRecoveryCode(bob.ID, "x") })
	update(t, s, func(tx *Tx) error { return tx.UseRecoveryCode(alice.ID, "x") })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.UseRecoveryCode(alice.ID, "x") })
	update(t, s, func(tx *Tx) error { return tx.EndTOTP(alice.ID) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.UseRecoveryCode(alice.ID, "y") })
	update(t, s, func(tx *Tx) error { return tx.BeginTOTP(alice.ID, []byte("c")) })
}

// A user has 100 tokens with a name and 100 of logins; the oldest of these makes room.
func TestTokensAreFew(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), Options{Now: c.Now})
	alice, bob := newUser(t, s, "alice"), newUser(t, s, "bob")
	end := c.now.Add(time.Hour)
	update(t, s, func(tx *Tx) error {
		for i := range tokensMost {
			for _, token := range []Token{{User: alice.ID, Name: fmt.Sprintf("t%d", i), Expires: end}, {User: alice.ID, Expires: end}} {
				if _, err := tx.AddToken(fmt.Sprintf("%s/%d", token.Name, i), token); err != nil {
					return err
				}
			}
		}
		return second(tx.AddToken("of bob", Token{User: bob.ID, Name: "t", Expires: end}))
	})
	updateFails(t, s, ErrQuota, func(tx *Tx) error {
		return second(tx.AddToken("more", Token{User: alice.ID, Name: "more", Expires: end}))
	})
	update(t, s, func(tx *Tx) error { return second(tx.AddToken("login", Token{User: alice.ID, Expires: end})) })
	for hash, want := range map[string]bool{"/0": false, "/1": true, "login": true, "t0/0": true, "of bob": true} {
		view(t, s, func(r *Read) error {
			if _, _, err := r.TokenUser(hash); (err == nil) != want {
				t.Errorf("token %s: %v", hash, err)
			}
			return nil
		})
	}
	c.now = end.Add(time.Minute) // the ended ones make room
	update(t, s, func(tx *Tx) error {
		return second(tx.AddToken("later", Token{User: alice.ID, Name: "more", Expires: end.Add(time.Hour)}))
	})
}

// A user who waits for the end of its applications goes with the last of them, and gets no new ones.
func TestUserGoesWithItsApplications(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	newUser(t, s, "root")
	a, _ := running(t, s, "app")
	update(t, s, func(tx *Tx) error { return tx.MarkDeleting(a.Owner) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.SetDisabled(a.Owner, false) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error {
		return second(tx.CreateApplication(NewApplication{Owner: a.Owner, Name: "late", Prefix: a.Prefix, ServiceBits: a.ServiceBits}))
	})
	update(t, s, func(tx *Tx) error { return second(tx.SetApplicationWanted(a.ID, ApplicationDeleted)) })
	update(t, s, func(tx *Tx) error { return tx.PurgeApplication(a.ID) })
	if err := s.View(t.Context(), func(r *Read) error { return second(r.User(a.Owner)) }); err == nil {
		t.Error("the user is still there")
	}
}
