package app_test

import (
	"strconv"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// New users begin with what the installation gives, or with what was asked for, up to its limit.
func TestInitialCredit(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{Register: true, Credit: app.CreditRules{Initial: 20, Max: 30}})
	ctx := t.Context()
	create := func(in api.UserCreate) (api.User, error) { return d.CreateUser(ctx, in) }
	register := func(in api.UserCreate) (api.User, error) { return d.Register(ctx, in, "192.0.2.1") }
	for name, c := range map[string]struct {
		make  func(api.UserCreate) (api.User, error)
		asked *int64
		want  int64 // -1: refused
	}{
		"alice": {create, nil, 20}, "bob": {create, to(int64(0)), 0}, "carol": {create, to(int64(30)), 30},
		"dave": {create, to(int64(31)), -1}, "erin": {create, to(int64(-1)), -1},
		"frank": {register, nil, 20}, "grace": {register, to(int64(30)), 30}, "heidi": {register, to(int64(31)), -1},
	} {
		_, err := c.make(api.UserCreate{Name: name, Password: secret, Credit: c.asked})
		if c.want < 0 {
			fails(t, err, api.CodeInvalid, "want 0 to 30 (MAX_CREDIT of the installation)")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got := must[api.Credit](t)(d.Credit(ctx, d.Admin(), name))
		if got.Balance != c.want || got.Unlimited || got.Machines != 0 || got.Ends != nil {
			t.Errorf("%s has %+v, want %d", name, got, c.want)
		}
	}
	if c := must[api.Credit](t)(d.Credit(ctx, d.Admin(), "me")); !c.Unlimited || c.Balance != 20 {
		t.Errorf("the administrator has %+v", c)
	}
	list := must[api.List[api.Credit]](t)(d.Credits(ctx, app.Page{Limit: 2}))
	if len(list.Items) != 2 || list.Next != "2" || list.Items[0].User != "admin" {
		t.Errorf("%+v", list)
	}
}

// Others' credit is not there; what a deleted user has paid is there for administrators, by its id.
func TestCreditIsPrivate(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice, bob := user(t, d, "alice"), user(t, d, "bob")
	_, err := d.Credit(ctx, bob, "alice")
	fails(t, err, api.CodeNotFound, `user "alice": not found`)
	id := strconv.FormatInt(int64(alice.ID), 10)
	for range 2 {
		for _, ref := range []string{"alice", id} {
			_, err = d.CreditEntries(ctx, bob, ref, app.CreditQuery{}, app.Page{})
			fails(t, err, api.CodeNotFound, "not found")
		}
		if _, err := d.User(ctx, d.Admin(), "alice"); err != nil {
			break
		}
		if err := d.DeleteUser(ctx, d.Admin(), "alice", false); err != nil {
			t.Fatal(err)
		}
	}
	list := must[api.List[api.CreditEntry]](t)(d.CreditEntries(ctx, d.Admin(), id, app.CreditQuery{}, app.Page{}))
	if len(list.Items) != 2 || list.Items[1].Kind != api.CreditClosed || list.Items[1].Amount != -50 || list.Items[1].Reason != `user "alice" is deleted` {
		t.Errorf("%+v", list.Items)
	}
	_, err = d.CreditEntries(ctx, d.Admin(), "4711", app.CreditQuery{}, app.Page{})
	fails(t, err, api.CodeNotFound, `user "4711"`)
	_, err = d.CreditEntries(ctx, bob, "me", app.CreditQuery{Application: "nothing"}, app.Page{})
	fails(t, err, api.CodeNotFound, "nothing")
	_, err = d.NodeCredits(ctx, bob, "me", app.CreditQuery{Node: "x"}, app.Page{})
	fails(t, err, api.CodeNotFound, "x")
	for _, in := range []api.CreditChange{{}, {Amount: 2_000_000_000}, {Amount: -2_000_000_000}, {Amount: 1_000_000_000}, {Amount: 1, Reason: "\x1b[2J"}, {Amount: 1, Reason: strings.Repeat("x", 501)}} {
		_, err = d.AddCredit(ctx, d.Admin(), "bob", in)
		fails(t, err, api.CodeInvalid, "")
	}
}
