package store

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
)

func TestUsers(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), Options{Now: c.Now})
	var admin, user User
	update(t, s, func(tx *Tx) (err error) {
		if admin, err = tx.CreateUser(User{Name: "admin", Role: api.RoleAdmin, Password: "h1"}); err != nil {
			return err
		}
		user, err = tx.CreateUser(User{Name: "user", Role: api.RoleUser, Password: "h2"})
		return err
	})
	updateFails(t, s, ErrAlike, func(tx *Tx) error { return second(tx.CreateUser(User{Name: "User"})) })
	want := User{ID: admin.ID + 1, Name: "user", Role: api.RoleUser, Password: "h2", Created: c.now}
	if d := cmp.Diff(want, user); d != "" {
		t.Errorf("created (-want +got):\n%s", d)
	}
	view(t, s, func(r *Read) error {
		found, err := r.FindUser("user")
		if d := cmp.Diff(want, found); d != "" {
			t.Errorf("found (-want +got):\n%s", d)
		}
		if _, err := r.FindUser("USER"); !errors.Is(err, ErrNotFound) {
			t.Errorf("names are found in other letters: %v", err)
		}
		for _, ref := range []string{"user", "2"} {
			if u, err := r.NamedUser(ref); err != nil || u.ID != user.ID {
				t.Errorf("by %q: %+v, %v", ref, u, err)
			}
		}
		if _, err := r.User(99); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "user 99") {
			t.Errorf("unknown user: %v", err)
		}
		return err
	})
	updateFails(t, s, ErrExists, func(tx *Tx) error {
		_, err := tx.CreateUser(User{Name: "user", Role: api.RoleUser})
		return err
	})
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.SetDisabled(admin.ID, true) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.SetUserRole(admin.ID, api.RoleUser) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.DeleteUser(admin.ID) })
	updateFails(t, s, ErrNotFound, func(tx *Tx) error { return tx.SetPassword(99, "x") })
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.SetUserRole(user.ID, api.RoleAdmin), tx.SetDisabled(admin.ID, true), tx.SetPassword(user.ID, "h3"))
	})
	view(t, s, func(r *Read) error {
		page, next, err := r.Users(Page{Limit: 1})
		if len(page) != 1 || page[0].Name != "admin" || !page[0].Disabled || next != int64(admin.ID) {
			t.Errorf("first page %+v, next %d", page, next)
		}
		page, next, _ = r.Users(Page{After: next, Limit: 1})
		if len(page) != 1 || page[0].Role != api.RoleAdmin || page[0].Password != "h3" || next != 0 {
			t.Errorf("second page %+v, next %d", page, next)
		}
		return err
	})
	profile := api.Profile{Email: "u@example.org", FirstName: "U", LastName: "Ser", Affiliation: "Example"}
	update(t, s, func(tx *Tx) error { return tx.SetProfile(user.ID, profile) })
	updateFails(t, s, ErrNotFound, func(tx *Tx) error { return tx.SetProfile(99, profile) })
	view(t, s, func(r *Read) error {
		u, err := r.User(user.ID)
		if d := cmp.Diff(profile, u.Profile); d != "" {
			t.Errorf("profile (-want +got):\n%s", d)
		}
		return err
	})
	update(t, s, func(tx *Tx) error { return tx.DeleteUser(admin.ID) })
	a, _ := running(t, s, "app")
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.DeleteUser(a.Owner) })
}

func TestTokens(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), Options{Now: c.Now})
	var id api.UserID
	expires := c.now.Add(time.Hour)
	give := func() {
		update(t, s, func(tx *Tx) error { return second(tx.AddToken("hash", Token{User: id, Expires: expires})) })
	}
	lives := func() bool {
		err := s.View(t.Context(), func(r *Read) error {
			u, token, err := r.TokenUser("hash")
			if err == nil && (u.ID != id || token.User != id || !token.Expires.Equal(expires)) {
				t.Errorf("token %+v of %+v", token, u)
			}
			return err
		})
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		return err == nil
	}
	update(t, s, func(tx *Tx) error {
		u, err := tx.CreateUser(User{Name: "u", Role: api.RoleUser})
		id = u.ID
		return errors.Join(err, tx.DeleteToken("unknown"))
	})
	updateFails(t, s, ErrNotFound, func(tx *Tx) error { return second(tx.AddToken("x", Token{User: 99, Expires: expires})) })
	if lives() {
		t.Error("a token that was never given is good")
	}
	endings := map[string]func(tx *Tx) error{
		"logout":    func(tx *Tx) error { return tx.DeleteToken("hash") },
		"password":  func(tx *Tx) error { return tx.SetPassword(id, "new") },
		"forgotten": func(tx *Tx) error { return tx.DeleteTokensOf(id) },
	}
	for name, end := range endings {
		give()
		if !lives() {
			t.Errorf("%s: the token is not good", name)
		}
		update(t, s, func(tx *Tx) error { return tx.RehashPassword(id, "other parameters") })
		if !lives() {
			t.Errorf("%s: a rehash ended the session", name)
		}
		update(t, s, end)
		if lives() {
			t.Errorf("%s: the token is good afterwards", name)
		}
	}
	give()
	c.now = expires.Add(-time.Microsecond)
	if !lives() {
		t.Error("not good just before its end")
	}
	c.now = expires
	if lives() {
		t.Error("good at its end")
	}
	c.now = expires.Add(-time.Minute)
	update(t, s, func(tx *Tx) error {
		_, err := tx.CreateUser(User{Name: "admin", Role: api.RoleAdmin})
		return errors.Join(err, tx.SetDisabled(id, true), second(tx.AddToken("late", Token{User: id, Expires: expires})))
	})
	view(t, s, func(r *Read) error {
		for _, hash := range []string{"hash", "late"} {
			if _, _, err := r.TokenUser(hash); !errors.Is(err, ErrNotFound) {
				t.Errorf("token %s of a disabled user: %v", hash, err)
			}
		}
		return nil
	})
	update(t, s, func(tx *Tx) error { return tx.DeleteUser(id) })
}

// Tokens with names are listed beside those of logins, and end by name or number; an expired one leaves its name.
func TestNamedTokens(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), Options{Now: c.Now})
	var alice, bob User
	soon, late := c.now.Add(time.Hour), c.now.Add(48*time.Hour)
	update(t, s, func(tx *Tx) error {
		var err, err2 error
		alice, err = tx.CreateUser(User{Name: "alice"})
		bob, err2 = tx.CreateUser(User{Name: "bob"})
		return errors.Join(err, err2,
			second(tx.AddToken("l1", Token{User: alice.ID, Expires: late})), second(tx.AddToken("l2", Token{User: alice.ID, Expires: late})),
			second(tx.AddToken("a", Token{User: alice.ID, Name: "robot", Expires: soon})), second(tx.AddToken("b", Token{User: bob.ID, Name: "robot", Expires: late})))
	})
	updateFails(t, s, ErrExists, func(tx *Tx) error {
		return second(tx.AddToken("x", Token{User: alice.ID, Name: "robot", Expires: late}))
	})
	names := func(u User) (out []string) {
		view(t, s, func(r *Read) error {
			tokens, _, err := r.Tokens(u.ID, Page{})
			for _, token := range tokens {
				out = append(out, token.Name)
			}
			return err
		})
		return out
	}
	if d := cmp.Diff([]string{"", "", "robot"}, names(alice)); d != "" {
		t.Errorf("tokens of alice (-want +got):\n%s", d)
	}
	update(t, s, func(tx *Tx) error { return errors.Join(tx.UseToken(1), tx.UseToken(77)) })
	view(t, s, func(r *Read) error {
		tokens, next, err := r.Tokens(alice.ID, Page{Limit: 1})
		if len(tokens) != 1 || next != 1 || !tokens[0].Used.Equal(c.now) {
			t.Errorf("first page %+v, next %d", tokens, next)
		}
		return err
	})
	c.now = soon
	if d := cmp.Diff([]string{"", ""}, names(alice)); d != "" {
		t.Errorf("an expired token is listed (-want +got):\n%s", d)
	}
	update(t, s, func(tx *Tx) error {
		return second(tx.AddToken("a2", Token{User: alice.ID, Name: "robot", Expires: late}))
	})
	updateFails(t, s, ErrNotFound, func(tx *Tx) error { return tx.RevokeToken(bob.ID, "1") })
	updateFails(t, s, ErrNotFound, func(tx *Tx) error { return tx.RevokeToken(alice.ID, "") })
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.RevokeToken(alice.ID, "robot"), tx.RevokeToken(alice.ID, "1"))
	})
	if a, b := len(names(alice)), len(names(bob)); a != 1 || b != 1 {
		t.Errorf("after revoking: %d tokens of alice, %d of bob, want 1 and 1", a, b)
	}
}

func TestSecretsAreSealed(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	canary := []byte("canary-that-must-not-be-seen-on-disk")
	var ca Authority
	update(t, s, func(tx *Tx) (err error) {
		if ca, err = tx.AddAuthority(AuthorityCA, []byte("certificate one"), canary, true); err != nil {
			return err
		}
		return tx.PutSecret("relay", canary)
	})
	check := func(s *Store) {
		t.Helper()
		view(t, s, func(r *Read) error {
			got, err := r.Secret("relay")
			if !bytes.Equal(got, canary) {
				t.Errorf("secret %q, %v", got, err)
			}
			all, err := r.Authorities(AuthorityCA)
			if len(all) == 0 || !bytes.Equal(all[len(all)-1].Key, canary) || string(all[len(all)-1].Certificate) != "certificate one" {
				t.Errorf("authorities %+v, %v", all, err)
			}
			return err
		})
	}
	check(s)
	// A row that is put in another's place does not open there.
	if err := s.write.Exec("INSERT INTO secrets SELECT 'other', sealed, changed FROM secrets").Error; err != nil {
		t.Fatal(err)
	}
	view(t, s, func(r *Read) error {
		if got, err := r.Secret("other"); !errors.Is(err, ErrKeyFile) {
			t.Errorf("an exchanged row opens: %q, %v", got, err)
		}
		return nil
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content, err := os.ReadFile(dir + "/" + e.Name())
		if err != nil || bytes.Contains(content, canary) {
			t.Errorf("%s holds a secret in clear (%v)", e.Name(), err)
		}
	}
	s = openStore(t, dir, Options{})
	check(s)
	update(t, s, func(tx *Tx) error {
		second, err := tx.AddAuthority(AuthorityCA, []byte("certificate two"), []byte("key two"), false)
		if err != nil {
			return err
		}
		all, err := tx.Authorities(AuthorityCA)
		if len(all) != 2 || all[0].ID != second.ID || all[0].Signs || !all[1].Signs {
			t.Errorf("the newest authority is not the first, or signs already: %+v", all)
		}
		err = errors.Join(err, tx.SignBy(second.ID))
		return errors.Join(err, tx.RetireAuthority(ca.ID))
	})
	updateFails(t, s, ErrNotFound, func(tx *Tx) error { return tx.RetireAuthority(ca.ID) })
	view(t, s, func(r *Read) error {
		all, err := r.Authorities(AuthorityCA)
		if len(all) != 1 || string(all[0].Key) != "key two" || !all[0].Signs {
			t.Errorf("after retiring: %+v", all)
		}
		code, _ := r.Authorities(AuthorityCode)
		if len(code) != 0 {
			t.Errorf("authorities of another kind: %+v", code)
		}
		return err
	})
	made := 0
	for range 2 {
		update(t, s, func(tx *Tx) error {
			got, err := tx.EnsureSecret("made", func() ([]byte, error) { made++; return []byte("x"), nil })
			if string(got) != "x" {
				t.Errorf("made secret %q", got)
			}
			return err
		})
	}
	if made != 1 {
		t.Errorf("the secret was made %d times", made)
	}
}

func TestCertificates(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), Options{Now: c.Now})
	end := c.now.Add(30 * 24 * time.Hour)
	update(t, s, func(tx *Tx) error {
		return errors.Join(second(tx.AddCertificate(Certificate{Serial: "aa", Identity: "conpaas:x/agent", NotAfter: end})),
			second(tx.AddCertificate(Certificate{Serial: "bb", Identity: "conpaas:x/agent", NotAfter: end})),
			second(tx.AddCertificate(Certificate{Serial: "cc", Identity: "conpaas:y", NotAfter: end})))
	})
	updateFails(t, s, ErrExists, func(tx *Tx) error {
		return second(tx.AddCertificate(Certificate{Serial: "aa", Identity: "conpaas:z", NotAfter: end}))
	})
	updateFails(t, s, ErrNotFound, func(tx *Tx) error { return tx.RevokeCertificate("dd", "") })
	update(t, s, func(tx *Tx) error { return tx.RevokeCertificate("aa", "lost") })
	first := c.now
	c.now = c.now.Add(time.Minute)
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.RevokeCertificate("aa", "again"), tx.RevokeIdentity("conpaas:x/agent", "node deleted"))
	})
	view(t, s, func(r *Read) error {
		got, err := r.CertificatesOf("conpaas:x/agent")
		want := []Certificate{
			{ID: 1, Serial: "aa", Identity: "conpaas:x/agent", Created: first, NotAfter: end, Revoked: first, Reason: "lost"},
			{ID: 2, Serial: "bb", Identity: "conpaas:x/agent", Created: first, NotAfter: end, Revoked: c.now, Reason: "node deleted"},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("certificates (-want +got):\n%s", d)
		}
		other, err2 := r.Certificate("cc")
		if !other.Revoked.IsZero() {
			t.Errorf("another identity's certificate is revoked: %+v", other)
		}
		if _, err := r.Certificate("dd"); !errors.Is(err, ErrNotFound) {
			t.Errorf("unknown serial: %v", err)
		}
		return errors.Join(err, err2)
	})
}
