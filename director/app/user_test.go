package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

const secret, other = api.Secret("correct horse battery"), api.Secret("another horse entirely")

// fails checks the code and a part of the text of an error.
func fails(t *testing.T, err error, code api.Code, text string) {
	t.Helper()
	if api.CodeFrom(err) != code || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v (%s), want %s with %q", err, api.CodeFrom(err), code, text)
	}
}

// user makes a user and gives the actor.
func user(t *testing.T, d *directortest.Director, name string) app.Actor {
	t.Helper()
	u := must[api.User](t)(d.CreateUser(t.Context(), api.UserCreate{Name: name, Password: secret}))
	return app.Actor{ID: u.ID, Name: u.Name, Admin: u.Role == api.RoleAdmin}
}

// tokenOf gives the token of a new login.
func tokenOf(t *testing.T, d *directortest.Director, name string, password api.Secret) api.Secret {
	t.Helper()
	return must[api.Token](t)(d.Login(t.Context(), api.Login{Username: name, Password: password}, "192.0.2.1")).Token
}

func to[T any](v T) *T { return &v }

func TestUsersSeeAndChangeThemselves(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice, bob := user(t, d, "alice"), user(t, d, "bob")
	for _, ref := range []string{"me", "alice", "2"} {
		if u, err := d.User(ctx, alice, ref); err != nil || u.Name != "alice" || u.Role != api.RoleUser {
			t.Errorf("alice sees %q as %+v, %v", ref, u, err)
		}
	}
	_, err := d.User(ctx, bob, "alice")
	fails(t, err, api.CodeNotFound, `user "alice": not found`)
	_, err = d.ChangeUser(ctx, bob, "alice", api.UserChange{Email: to("x@example.org")})
	fails(t, err, api.CodeNotFound, "alice")
	fails(t, d.ChangePassword(ctx, bob, "alice", api.PasswordChange{Old: secret, New: other}, "192.0.2.1"), api.CodeNotFound, "alice")
	for _, in := range []api.UserChange{{Role: to(api.RoleAdmin)}, {Disabled: to(false)}} {
		_, err = d.ChangeUser(ctx, alice, "me", in)
		fails(t, err, api.CodeForbidden, "only an administrator")
	}
	must[api.User](t)(d.ChangeUser(ctx, alice, "me", api.UserChange{Email: to("alice@example.org"), LastName: to("Liddell")}))
	u := must[api.User](t)(d.ChangeUser(ctx, alice, "me", api.UserChange{LastName: to("")}))
	if u.Profile != (api.Profile{Email: "alice@example.org"}) {
		t.Errorf("profile %+v", u.Profile)
	}
	for field, in := range map[string]api.UserChange{
		"email": {Email: to("alice")}, "first_name": {FirstName: to("\x1b[2J")}, "affiliation": {Affiliation: to(strings.Repeat("x", 300))},
	} {
		_, err := d.ChangeUser(ctx, alice, "me", in)
		fails(t, err, api.CodeInvalid, field+": ")
	}
}

func TestUsersAreCreatedWell(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	user(t, d, "alice")
	for _, c := range []struct {
		in   api.UserCreate
		code api.Code
		text string
	}{
		{api.UserCreate{Name: "alice", Password: secret}, api.CodeConflict, `name: user "alice" exists already`},
		{api.UserCreate{Name: "Alice", Password: secret}, api.CodeConflict, "differs in case alone"},
		{api.UserCreate{Name: "Me", Password: secret}, api.CodeInvalid, "means the one who asks"},
		{api.UserCreate{Name: "7up", Password: secret}, api.CodeInvalid, "must begin with a letter"},
		{api.UserCreate{Name: "bob", Password: "short"}, api.CodeInvalid, "password: "},
		{api.UserCreate{Name: "bob", Password: secret, Role: "root"}, api.CodeInvalid, "role: "},
		{api.UserCreate{Name: "bob", Password: secret, Profile: api.Profile{Email: "@"}}, api.CodeInvalid, "email: "},
	} {
		_, err := d.CreateUser(ctx, c.in)
		fails(t, err, c.code, c.text)
	}
	list := must[api.List[api.User]](t)(d.Users(ctx, app.Page{}))
	if len(list.Items) != 2 || list.Items[1].Name != "alice" {
		t.Errorf("users %+v, want admin and alice", list.Items)
	}
}

// A new password needs the old one of who changes its own, ends what the user had open, and is braked like logins.
func TestPasswords(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice := user(t, d, "alice")
	token := tokenOf(t, d, "alice", secret)
	fails(t, d.ChangePassword(ctx, alice, "me", api.PasswordChange{New: other}, "192.0.2.1"), api.CodeInvalid, "old: ")
	fails(t, d.ChangePassword(ctx, alice, "me", api.PasswordChange{Old: secret, New: "short"}, "192.0.2.1"), api.CodeInvalid, "new: ")
	must[app.Actor](t)(d.Authenticate(ctx, token))
	if err := d.ChangePassword(ctx, alice, "me", api.PasswordChange{Old: secret, New: other}, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	_, err := d.Authenticate(ctx, token)
	fails(t, err, api.CodeUnauthenticated, "not valid")
	_, err = d.Login(ctx, api.Login{Username: "alice", Password: secret}, "192.0.2.1")
	fails(t, err, api.CodeUnauthenticated, "wrong")
	tokenOf(t, d, "alice", other)
	if err := d.ChangePassword(ctx, d.Admin(), "alice", api.PasswordChange{New: secret}, "192.0.2.1"); err != nil {
		t.Errorf("an administrator gives another password: %v", err)
	}
	tokenOf(t, d, "alice", secret)
	for range 100 {
		if err = d.ChangePassword(ctx, alice, "me", api.PasswordChange{Old: "guess", New: other}, "192.0.2.9"); api.CodeFrom(err) == api.CodeThrottled {
			break
		}
	}
	fails(t, err, api.CodeThrottled, "too many")
}

func TestDisabledUsers(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	user(t, d, "alice")
	token := tokenOf(t, d, "alice", secret)
	if u := must[api.User](t)(d.ChangeUser(ctx, d.Admin(), "alice", api.UserChange{Disabled: to(true)})); !u.Disabled {
		t.Errorf("the answer is %+v", u)
	}
	_, err := d.Authenticate(ctx, token)
	fails(t, err, api.CodeUnauthenticated, "not valid")
	_, wrong := d.Login(ctx, api.Login{Username: "nobody", Password: secret, Code: "000000"}, "192.0.2.1")
	_, err = d.Login(ctx, api.Login{Username: "alice", Password: secret}, "192.0.2.1")
	fails(t, err, api.CodeUnauthenticated, wrong.Error())
	must[api.User](t)(d.ChangeUser(ctx, d.Admin(), "alice", api.UserChange{Disabled: to(false)}))
	_, err = d.Authenticate(ctx, token)
	fails(t, err, api.CodeUnauthenticated, "not valid") // it has ended for good
	tokenOf(t, d, "alice", secret)
}

func TestTheLastAdminStays(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice := user(t, d, "alice")
	for _, in := range []api.UserChange{{Role: to(api.RoleUser)}, {Disabled: to(true)}} {
		_, err := d.ChangeUser(ctx, d.Admin(), "admin", in)
		fails(t, err, api.CodeConflict, "the last admin")
	}
	fails(t, d.DeleteUser(ctx, d.Admin(), "me", false), api.CodeConflict, "the last admin")
	must[api.User](t)(d.ChangeUser(ctx, d.Admin(), "alice", api.UserChange{Role: to(api.RoleAdmin)}))
	alice.Admin = true
	if err := d.DeleteUser(ctx, alice, "admin", false); err != nil {
		t.Errorf("with another admin there: %v", err)
	}
}

func TestUsersWithApplicationsStay(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice := user(t, d, "alice")
	token := tokenOf(t, d, "alice", secret)
	must[api.Application](t)(d.CreateApplication(ctx, alice, api.ApplicationCreate{Name: "shop"}))
	fails(t, d.DeleteUser(ctx, d.Admin(), "alice", false), api.CodeConflict, `user "alice" still has the applications "shop" (INIT)`)
	must[app.Actor](t)(d.Authenticate(ctx, token))
	must[api.Operation](t)(d.DeleteApplication(ctx, alice, "shop"))
	directortest.Await(t, 30*time.Second, "the application is gone", func() error {
		left, err := d.Applications(ctx, alice, app.Page{})
		if len(left.Items) > 0 {
			err = fmt.Errorf("it is %s", left.Items[0].State)
		}
		return err
	})
	if err := d.DeleteUser(ctx, d.Admin(), "alice", false); err != nil {
		t.Fatal(err)
	}
	_, err := d.Authenticate(ctx, token)
	fails(t, err, api.CodeUnauthenticated, "not valid")
	_, err = d.User(ctx, d.Admin(), "alice")
	fails(t, err, api.CodeNotFound, "alice")
	_, err = d.CreateApplication(ctx, alice, api.ApplicationCreate{Name: "late"}) // by a request that was under way
	fails(t, err, api.CodeNotFound, "")
}
