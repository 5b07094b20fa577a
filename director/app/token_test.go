package app_test

import (
	"sync/atomic"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// An API token works until it expires or is revoked, or its user gets another password or is disabled.
func TestTokensForPrograms(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice := user(t, d, "alice")
	for name, end := range map[string]func(id string) error{
		"revoked by name":  func(string) error { return d.RevokeToken(ctx, alice, "me", "ci") },
		"revoked by id":    func(id string) error { return d.RevokeToken(ctx, alice, "alice", id) },
		"revoked by admin": func(string) error { return d.RevokeToken(ctx, d.Admin(), "alice", "ci") },
		"password": func(string) error {
			return d.ChangePassword(ctx, d.Admin(), "alice", api.PasswordChange{New: secret}, "192.0.2.1")
		},
		"disabled": func(string) error {
			_, err := d.ChangeUser(ctx, d.Admin(), "alice", api.UserChange{Disabled: to(true)})
			return err
		},
	} {
		must[api.User](t)(d.ChangeUser(ctx, d.Admin(), "alice", api.UserChange{Disabled: to(false)}))
		made := must[api.TokenCreated](t)(d.CreateToken(ctx, alice, "me", tokenOf(t, d, "alice", secret), api.TokenCreate{Name: "ci"}))
		if a, err := d.Authenticate(ctx, made.Token); err != nil || a.ID != alice.ID || a.Credential == "" {
			t.Fatalf("%s: the token is that of %+v, %v", name, a, err)
		}
		if err := end(api.ServiceID(made.ID).String()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err := d.Authenticate(ctx, made.Token)
		fails(t, err, api.CodeUnauthenticated, "not valid")
	}
}

func TestTokensExpireAndShowTheirUse(t *testing.T) {
	begun := time.Now().UTC().Truncate(time.Microsecond)
	var later atomic.Int64
	d := start(t, directortest.Options{Now: func() time.Time { return begun.Add(time.Duration(later.Load())) }})
	ctx := t.Context()
	alice := user(t, d, "alice")
	made := must[api.TokenCreated](t)(d.CreateToken(ctx, alice, "me", tokenOf(t, d, "alice", secret), api.TokenCreate{Name: "ci", Seconds: 7200}))
	used := func() *time.Time {
		list := must[api.List[api.UserToken]](t)(d.Tokens(ctx, alice, "me", app.Page{}))
		if len(list.Items) != 2 || list.Items[0].Name != "" || list.Items[1].ID != made.ID {
			t.Fatalf("tokens %+v, want that of the login and ci", list.Items)
		}
		return list.Items[1].Used
	}
	if at := used(); at != nil {
		t.Errorf("used at %v before it was", at)
	}
	for _, use := range []struct{ at, known time.Duration }{{0, 0}, {59 * time.Minute, 0}, {time.Hour, time.Hour}} {
		later.Store(int64(use.at))
		must[app.Actor](t)(d.Authenticate(ctx, made.Token))
		if at := used(); at == nil || at.Sub(begun) != use.known {
			t.Errorf("%v later: used at %v, want %v", use.at, at, begun.Add(use.known))
		}
	}
	later.Store(int64(2 * time.Hour))
	_, err := d.Authenticate(ctx, made.Token)
	fails(t, err, api.CodeUnauthenticated, "not valid")
}

func TestWhoMakesTokens(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice, bob := user(t, d, "alice"), user(t, d, "bob")
	session := tokenOf(t, d, "alice", secret)
	made := must[api.TokenCreated](t)(d.CreateToken(ctx, alice, "me", session, api.TokenCreate{Name: "ci"}))
	for _, c := range []struct {
		actor   app.Actor
		ref     string
		calling api.Secret
		in      api.TokenCreate
		code    api.Code
		text    string
	}{
		{alice, "me", made.Token, api.TokenCreate{Name: "more"}, api.CodeForbidden, "makes no others"},
		{alice, "me", session, api.TokenCreate{Name: "ci"}, api.CodeConflict, `token "ci" exists already`},
		{alice, "me", session, api.TokenCreate{Name: ""}, api.CodeInvalid, "name: "},
		{alice, "me", session, api.TokenCreate{Name: "x", Seconds: 59}, api.CodeInvalid, "seconds: "},
		{alice, "me", session, api.TokenCreate{Name: "x", Seconds: 1 << 62}, api.CodeInvalid, "seconds: "},
		{bob, "alice", tokenOf(t, d, "bob", secret), api.TokenCreate{Name: "x"}, api.CodeNotFound, "alice"},
		{d.Admin(), "alice", session, api.TokenCreate{Name: "x"}, api.CodeForbidden, "only user"},
	} {
		_, err := d.CreateToken(ctx, c.actor, c.ref, c.calling, c.in)
		fails(t, err, c.code, c.text)
	}
	_, err := d.Tokens(ctx, bob, "alice", app.Page{})
	fails(t, err, api.CodeNotFound, "alice")
	fails(t, d.RevokeToken(ctx, bob, "alice", "ci"), api.CodeNotFound, "alice")
	fails(t, d.RevokeToken(ctx, bob, "me", "ci"), api.CodeNotFound, `token "ci"`)
	must[app.Actor](t)(d.Authenticate(ctx, made.Token))
}
