package app

import (
	"context"
	"errors"

	"conpaas/client/api"
)

// registrations is what the limit on tries counts registrations as: no user has that name.
const registrations = "/register"

// Register makes an account for somebody who has none, where the installation allows that. How many come from one address
// is limited like failed logins. Every name that cannot be had gets the same answer; that there is one has to be said.
func (d *Director) Register(ctx context.Context, in api.UserCreate, from string) (api.User, error) {
	if !d.config.Register {
		return api.User{}, api.Errorf(api.CodeForbidden, "nobody registers at this installation; ask its administrator for an account")
	}
	if in.Role != "" && in.Role != api.RoleUser {
		return api.User{}, api.InField("role", "only an administrator makes others than users")
	}
	if _, err := d.try(registrations, from, "registrations from your address"); err != nil {
		return api.User{}, err
	}
	u, err := d.CreateUser(ctx, in)
	if problem, ok := errors.AsType[*api.Error](err); ok && problem.Code == api.CodeConflict {
		e := api.Errorf(api.CodeConflict, "this name cannot be had; choose another")
		e.Field = "name"
		return api.User{}, e
	}
	return u, err
}
