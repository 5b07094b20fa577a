package app_test

import (
	"fmt"
	"testing"

	"conpaas/client/api"
	"conpaas/director/directortest"
)

func TestRegistrationIsOffUnlessAllowed(t *testing.T) {
	d := start(t, directortest.Options{})
	_, err := d.Register(t.Context(), api.UserCreate{Name: "alice", Password: secret}, "192.0.2.1")
	fails(t, err, api.CodeForbidden, "ask its administrator")
	_, err = d.User(t.Context(), d.Admin(), "alice")
	fails(t, err, api.CodeNotFound, "alice")
}

func TestRegistration(t *testing.T) {
	d := start(t, directortest.Options{Register: true})
	ctx := t.Context()
	u := must[api.User](t)(d.Register(ctx, api.UserCreate{Name: "alice", Password: secret, Profile: api.Profile{Email: "a@example.org"}}, "192.0.2.1"))
	if u.Role != api.RoleUser || u.Email != "a@example.org" {
		t.Errorf("registered %+v", u)
	}
	tokenOf(t, d, "alice", secret)
	_, err := d.Register(ctx, api.UserCreate{Name: "bob", Password: secret, Role: api.RoleAdmin}, "192.0.2.1")
	fails(t, err, api.CodeInvalid, "role: ")
	_, err = d.Register(ctx, api.UserCreate{Name: "bob", Password: "short"}, "192.0.2.1")
	fails(t, err, api.CodeInvalid, "password: ")
	for _, name := range []string{"alice", "Alice", "admin", "ADMIN"} {
		_, err := d.Register(ctx, api.UserCreate{Name: name, Password: secret}, "198.51.100.4")
		if fails(t, err, api.CodeConflict, "name: this name cannot be had; choose another"); err.Error() != "name: this name cannot be had; choose another" {
			t.Errorf("%s: %v says more than of other names", name, err)
		}
	}
}

// Registrations from one address are braked, successful ones too; other addresses and logins go on.
func TestRegistrationIsBraked(t *testing.T) {
	d := start(t, directortest.Options{Register: true})
	ctx := t.Context()
	var err error
	made := 0
	for ; err == nil && made < 50; made++ {
		_, err = d.Register(ctx, api.UserCreate{Name: fmt.Sprintf("u%d", made), Password: secret}, "192.0.2.1")
	}
	fails(t, err, api.CodeThrottled, "too many registrations")
	tokenOf(t, d, "u0", secret)
	if _, err := d.Register(ctx, api.UserCreate{Name: "alice", Password: secret}, "198.51.100.4"); err != nil {
		t.Errorf("from another address: %v", err)
	}
}
