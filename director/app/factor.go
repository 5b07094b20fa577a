package app

import (
	"context"

	"conpaas/client/api"
	"conpaas/director/auth"
	"conpaas/director/store"
)

// proof is what was found of the password and the code that somebody has given for a user.
type proof struct {
	ok, rehash bool
	use        func(tx *store.Tx) error // uses the code up; ErrConflict when that was done meanwhile
}

// prove checks password and, where the user has a second factor, code. Both are looked at always, so that neither the answer
// nor its time tells which was wrong. A code counts once it is used up by the transaction that it is for.
func (d *Director) prove(ctx context.Context, u store.User, password, code api.Secret) (proof, error) {
	p := proof{use: func(*store.Tx) error { return nil }}
	ok, rehash, err := d.passwords.Verify(ctx, u.Password, password.Reveal())
	if err != nil {
		return p, err
	}
	p.ok, p.rehash = ok, rehash
	if !u.TOTP {
		return p, nil
	}
	valid := false
	err = d.store.View(ctx, func(r *store.Read) error {
		factor, err := r.TOTP(u.ID)
		if err != nil {
			return err
		}
		recovery := auth.HashRecoveryCode(code)
		known, err := r.RecoveryCode(u.ID, recovery)
		step, right := auth.TOTPStep(factor.Secret, code, r.Now())
		switch {
		case known:
			valid, p.use = true, func(tx *store.Tx) error { return tx.UseRecoveryCode(u.ID, recovery) }
		case right && step > factor.Step:
			valid, p.use = true, func(tx *store.Tx) error { return tx.UseStep(u.ID, step) }
		}
		return err
	})
	p.ok = p.ok && valid
	return p, problem(err)
}

// BeginTOTP makes a second factor for the actor, who says its password so that a lost token locks nobody out. It counts when
// ConfirmTOTP has had its first code; until then it can be begun again.
func (d *Director) BeginTOTP(ctx context.Context, a Actor, ref string, in api.TOTPBegin, from string) (api.TOTPSecret, error) {
	u, err := d.own(ctx, a, ref)
	if err != nil {
		return api.TOTPSecret{}, err
	}
	if err := d.checkPassword(ctx, u, "password", in.Password, from); err != nil {
		return api.TOTPSecret{}, err
	}
	if u.TOTP {
		return api.TOTPSecret{}, api.Errorf(api.CodeConflict, "there is a second factor already; end it first: cps user totp disable")
	}
	secret := auth.NewTOTPSecret()
	err = d.store.Update(ctx, "totp.begun", func(tx *store.Tx) error { return tx.BeginTOTP(u.ID, secret) })
	if err != nil {
		return api.TOTPSecret{}, problem(err)
	}
	return api.TOTPSecret{Secret: auth.TOTPText(secret), URL: auth.TOTPURL("ConPaaS "+d.url.Hostname(), u.Name, secret)}, nil
}

// ConfirmTOTP lets the second factor of BeginTOTP count from now on.
func (d *Director) ConfirmTOTP(ctx context.Context, a Actor, ref string, in api.TOTPConfirm, from string) (api.RecoveryCodes, error) {
	u, err := d.own(ctx, a, ref)
	if err != nil {
		return api.RecoveryCodes{}, err
	}
	address, err := d.try(u.Name, from, "wrong codes")
	if err != nil {
		return api.RecoveryCodes{}, err
	}
	codes := auth.NewRecoveryCodes()
	hashes := make([]string, len(codes))
	for i, code := range codes {
		hashes[i] = auth.HashRecoveryCode(code)
	}
	err = d.store.Update(ctx, "totp.confirmed", func(tx *store.Tx) error {
		factor, err := tx.TOTP(u.ID)
		switch {
		case notFound(err):
			return api.Errorf(api.CodeConflict, "no second factor was begun; begin with: cps user totp enable")
		case err != nil:
			return err
		case !factor.Since.IsZero():
			return api.Errorf(api.CodeConflict, "the second factor counts already")
		}
		step, ok := auth.TOTPStep(factor.Secret, in.Code, tx.Now())
		if !ok {
			return api.InField("code", "this is not the code of now; are the clocks of both sides right?")
		}
		return tx.ConfirmTOTP(u.ID, step, hashes)
	})
	if err != nil {
		return api.RecoveryCodes{}, problem(err)
	}
	d.logins.Succeeded(u.Name, address)
	return api.RecoveryCodes{Codes: codes}, nil
}

// EndTOTP takes the second factor away: the actor its own with password and code, an administrator that of somebody else.
func (d *Director) EndTOTP(ctx context.Context, a Actor, ref string, in api.TOTPEnd, from string) error {
	u, err := d.findAccount(ctx, a, ref)
	if err != nil {
		return err
	}
	p := proof{ok: true, use: func(*store.Tx) error { return nil }}
	if u.ID == a.ID {
		address, err := d.try(u.Name, from, "wrong codes")
		if err != nil {
			return err
		}
		if p, err = d.prove(ctx, u, in.Password, in.Code); err != nil {
			return err
		}
		if p.ok {
			d.logins.Succeeded(u.Name, address)
		}
	}
	wrong := api.InField("code", "wrong password or code")
	if !p.ok {
		return wrong
	}
	return problem(d.store.Update(ctx, "totp.ended", func(tx *store.Tx) error {
		if err := p.use(tx); err != nil {
			return wrong
		}
		return tx.EndTOTP(u.ID)
	}))
}

// own gives the account that ref names, which has to be the actor's.
func (d *Director) own(ctx context.Context, a Actor, ref string) (store.User, error) {
	u, err := d.findAccount(ctx, a, ref)
	if err == nil && u.ID != a.ID {
		err = api.Errorf(api.CodeForbidden, "only user %q may do this", u.Name)
	}
	return u, err
}
