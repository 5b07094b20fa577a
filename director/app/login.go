package app

import (
	"context"
	"errors"
	"time"

	"conpaas/client/api"
	"conpaas/director/auth"
	"conpaas/director/store"
)

// Login exchanges a password, and a code where the account has a second factor, for a token. Unknown users, wrong passwords
// and wrong codes get the same answer in the same time. That a code is needed is said before the password is looked at, and
// of half of the names that nobody has as well; from is the caller's IP address, for the limit on tries.
func (d *Director) Login(ctx context.Context, in api.Login, from string) (api.Token, error) {
	store.Names(ctx, "user", in.Username)
	address, err := d.try(in.Username, from, "failed logins")
	if err != nil {
		return api.Token{}, err
	}
	var u store.User
	var asks bool
	err = d.store.View(ctx, func(r *store.Read) error {
		u, err = r.FindUser(in.Username)
		asks = u.TOTP
		if notFound(err) {
			u, asks, err = store.User{}, r.Feigned(in.Username), nil
		}
		return err
	})
	if err != nil {
		return api.Token{}, problem(err)
	}
	if asks && in.Code == "" {
		return api.Token{}, api.Errorf(api.CodeSecondFactor, "a code of the second factor is needed")
	}
	proof, err := d.prove(ctx, u, in.Password, in.Code)
	if err != nil {
		return api.Token{}, err
	}
	wrong := api.Errorf(api.CodeUnauthenticated, "wrong user name, password or code")
	if !proof.ok || u.Disabled {
		return api.Token{}, wrong
	}
	token, hash := auth.NewToken()
	expires := time.Now().UTC().Add(auth.TokenLife)
	var newHash string
	if proof.rehash {
		if newHash, err = d.passwords.Hash(ctx, in.Password.Reveal()); err != nil && !errors.Is(err, auth.ErrPassword) {
			return api.Token{}, err
		}
	}
	err = d.store.Update(ctx, "user.login", func(tx *store.Tx) error {
		if err := proof.use(tx); err != nil {
			return wrong // another login was faster with this code
		}
		tx.Proven(u)
		if newHash != "" {
			if err := tx.RehashPassword(u.ID, newHash); err != nil {
				return err
			}
		}
		_, err := tx.AddToken(hash, store.Token{User: u.ID, Expires: expires})
		return err
	})
	if err != nil {
		return api.Token{}, problem(err)
	}
	d.logins.Succeeded(in.Username, address)
	return api.Token{Token: token, Expires: expires, User: showUser(u)}, nil
}

// Authenticate tells whose token it is.
func (d *Director) Authenticate(ctx context.Context, token api.Secret) (Actor, error) {
	invalid := api.Errorf(api.CodeUnauthenticated, "the token is not valid (any more); log in again: cps login")
	hash, ok := auth.HashToken(token)
	if !ok {
		return Actor{}, invalid
	}
	var u store.User
	var t store.Token
	var now time.Time
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		now = r.Now()
		u, t, err = r.TokenUser(hash)
		return err
	})
	if notFound(err) {
		return Actor{}, invalid
	}
	if err != nil {
		return Actor{}, problem(err)
	}
	d.tokenUsed(ctx, t, now)
	return Actor{ID: u.ID, Name: u.Name, Admin: u.Role == api.RoleAdmin, Credential: "token " + t.Label(), TokenHash: hash}, nil
}

// Logout ends a token of the actor.
func (d *Director) Logout(ctx context.Context, a Actor, token api.Secret) error {
	hash, ok := auth.HashToken(token)
	if !ok {
		return nil
	}
	defer d.accessChanged(a.ID)
	return problem(d.store.Update(ctx, "user.logout", func(tx *store.Tx) error { return tx.DeleteToken(hash) }))
}
