package app

import (
	"context"
	"net/netip"
	"time"

	"conpaas/client/api"
	"conpaas/director/auth"
	"conpaas/director/store"
)

// ChangePassword gives a user another password and ends its tokens and certificates. Who changes its own says the old one, so that a lost
// token does not take the account over; from is the caller's IP address, for the limit on tries.
func (d *Director) ChangePassword(ctx context.Context, a Actor, ref string, in api.PasswordChange, from string) error {
	u, err := d.findAccount(ctx, a, ref)
	if err != nil {
		return err
	}
	if err := auth.CheckPassword(in.New.Reveal()); err != nil {
		return api.InField("new", "%s", err.Error())
	}
	if u.ID == a.ID {
		if err := d.checkPassword(ctx, u, "old", in.Old, from); err != nil {
			return err
		}
	}
	hash, err := d.hash(ctx, "new", in.New)
	if err != nil {
		return err
	}
	defer d.accessChanged(u.ID)
	return problem(d.store.Update(ctx, "user.password", func(tx *store.Tx) error { return tx.SetPassword(u.ID, hash) }))
}

// checkPassword makes sure that a user who is logged in knows the password, which a member of the request has.
func (d *Director) checkPassword(ctx context.Context, u store.User, field string, password api.Secret, from string) error {
	address, err := d.try(u.Name, from, "failed logins")
	if err != nil {
		return err
	}
	ok, _, err := d.passwords.Verify(ctx, u.Password, password.Reveal())
	if err != nil {
		return err
	}
	if !ok {
		return api.InField(field, "this is not your password")
	}
	d.logins.Succeeded(u.Name, address)
	return nil
}

// try counts a try of an account from an address, and refuses it when there were too many.
func (d *Director) try(account, from, what string) (netip.Addr, error) {
	address, err := netip.ParseAddr(from)
	if err != nil {
		return address, err
	}
	if wait, ok := d.logins.Try(account, address); !ok {
		return address, api.Errorf(api.CodeThrottled, "too many %s; try again in %v", what, wait.Round(time.Second))
	}
	return address, nil
}
