package app

import (
	"context"
	"time"

	"conpaas/client/api"
	"conpaas/director/auth"
	"conpaas/director/store"
)

// How long tokens for programs are good.
const (
	tokenDefault = 30 * 24 * time.Hour
	tokenLeast   = time.Minute
	tokenMost    = 366 * 24 * time.Hour
)

// useGrain is how exactly the last use of a token is known: every use would be a write.
const useGrain = time.Hour

// Tokens gives a page of a user's tokens, those of logins too.
func (d *Director) Tokens(ctx context.Context, a Actor, ref string, p Page) (list api.List[api.UserToken], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		u, err := account(r, a, ref)
		if err != nil {
			return err
		}
		tokens, next, err := r.Tokens(u.ID, page)
		list.Items, list.Next = converted(tokens, showToken), cursor(next)
		return err
	})
	return list, problem(err)
}

func showToken(t store.Token) api.UserToken {
	out := api.UserToken{ID: t.ID, Name: t.Name, Created: t.Created, Expires: t.Expires}
	if !t.Used.IsZero() {
		out.Used = &t.Used
	}
	return out
}

// CreateToken makes a token for a program of the actor. calling is the token of the request: it has to be a login's, so
// that a token which was lost ends when it expires, and cannot be made into another.
func (d *Director) CreateToken(ctx context.Context, a Actor, ref string, calling api.Secret, in api.TokenCreate) (api.TokenCreated, error) {
	if err := checkName(in.Name); err != nil {
		return api.TokenCreated{}, err
	}
	life, err := lifeOf(in.Seconds, tokenDefault)
	if err != nil {
		return api.TokenCreated{}, err
	}
	token, hash := auth.NewToken()
	var t store.Token
	err = d.store.Update(ctx, "token.created", func(tx *store.Tx) error {
		u, err := account(&tx.Read, a, ref)
		if err != nil {
			return err
		}
		if u.ID != a.ID {
			return api.Errorf(api.CodeForbidden, "only user %q makes tokens of its own", u.Name)
		}
		if err := loggedIn(&tx.Read, a, calling); err != nil {
			return err
		}
		t, err = tx.AddToken(hash, store.Token{User: u.ID, Name: in.Name, Expires: tx.Now().Add(life)})
		return err
	})
	if err != nil {
		return api.TokenCreated{}, taken(err, "token", in.Name)
	}
	return api.TokenCreated{UserToken: showToken(t), Token: token}, nil
}

// loggedIn makes sure that the token of a request is that of a login of the actor. What opens the account otherwise makes
// nothing that would outlive it.
func loggedIn(r *store.Read, a Actor, calling api.Secret) error {
	hash, _ := auth.HashToken(calling)
	u, t, err := r.TokenUser(hash)
	switch {
	case notFound(err) || err == nil && u.ID != a.ID:
		return api.Errorf(api.CodeForbidden, "a certificate makes no tokens and no other certificates; log in: cps login")
	case err == nil && t.Name != "":
		return api.Errorf(api.CodeForbidden, "token %q was made for a program and makes no others, and no certificates; log in: cps login", t.Name)
	}
	return err
}

// RevokeToken ends a token by name or id; those of others are for administrators.
func (d *Director) RevokeToken(ctx context.Context, a Actor, ref, token string) error {
	var u store.User
	err := d.store.Update(ctx, "token.revoked", func(tx *store.Tx) (err error) {
		if u, err = account(&tx.Read, a, ref); err != nil {
			return err
		}
		return tx.RevokeToken(u.ID, token)
	})
	d.accessChanged(u.ID)
	return problem(err)
}

// tokenUsed records the use of a token. That it cannot be written must not keep anybody out.
func (d *Director) tokenUsed(ctx context.Context, t store.Token, now time.Time) {
	if now.Sub(t.Used) < useGrain {
		return
	}
	if err := d.store.Update(ctx, "token.used", func(tx *store.Tx) error { return tx.UseToken(t.ID) }); err != nil {
		d.log.Warn("the use of a token could not be recorded", "user", t.User, "token", t.ID, "err", err)
	}
}
