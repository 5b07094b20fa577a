package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"conpaas/client/api"
	"conpaas/director/auth"
	"conpaas/director/store"
)

// me is what a user may call itself in paths. Nobody has it as a name.
const me = "me"

// account gives the user that ref names by name or id. Others than the actor are there for administrators only.
func account(r *store.Read, a Actor, ref string) (store.User, error) {
	if ref == me {
		return r.User(a.ID)
	}
	u, err := r.NamedUser(ref)
	if err == nil && u.ID != a.ID && !a.Admin {
		return store.User{}, fmt.Errorf("user %q: %w", ref, store.ErrNotFound)
	}
	return u, err
}

// findAccount is account outside of transactions.
func (d *Director) findAccount(ctx context.Context, a Actor, ref string) (u store.User, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		u, err = account(r, a, ref)
		return err
	})
	return u, problem(err)
}

// User gives a user: the actor, or for an administrator anyone.
func (d *Director) User(ctx context.Context, a Actor, ref string) (api.User, error) {
	var out api.User
	err := d.store.View(ctx, func(r *store.Read) error {
		u, err := account(r, a, ref)
		if err != nil {
			return err
		}
		if out = showUser(u); out.Deleting != nil {
			out.Deleting.Applications, err = leftOf(r, u.ID)
		}
		return err
	})
	return out, problem(err)
}

func showUser(u store.User) api.User {
	out := api.User{ID: u.ID, Name: u.Name, Role: u.Role, Disabled: u.Disabled, TOTP: u.TOTP, Created: u.Created, Profile: u.Profile}
	if !u.Deleting.IsZero() {
		out.Deleting = &api.UserDeletion{Since: u.Deleting}
	}
	return out
}

// Users gives a page of all users; it is for administrators.
func (d *Director) Users(ctx context.Context, p Page) (list api.List[api.User], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		users, next, err := r.Users(page)
		list.Items, list.Next = converted(users, showUser), cursor(next)
		return err
	})
	return list, problem(err)
}

// CreateUser adds a user; it is for administrators.
func (d *Director) CreateUser(ctx context.Context, in api.UserCreate) (api.User, error) {
	if in.Role == "" {
		in.Role = api.RoleUser
	}
	hash, err := d.checkUser(ctx, in)
	if err != nil {
		return api.User{}, err
	}
	credit, err := d.initialCredit(in.Credit)
	if err != nil {
		return api.User{}, err
	}
	var u store.User
	err = d.store.Update(ctx, "user.created", func(tx *store.Tx) error {
		u, err = tx.CreateUser(store.User{Name: in.Name, Role: in.Role, Password: hash, Profile: in.Profile, Credit: credit})
		return err
	})
	return showUser(u), taken(err, "user", in.Name)
}

// checkUser checks what a user is to be made of, and hashes the password.
func (d *Director) checkUser(ctx context.Context, in api.UserCreate) (hash string, err error) {
	if err := checkName(in.Name); err != nil {
		return "", err
	}
	if strings.EqualFold(in.Name, me) {
		return "", api.InField("name", "%q means the one who asks; choose another name", in.Name)
	}
	if err := errors.Join(checkRole(in.Role), checkProfile(in.Profile)); err != nil {
		return "", err
	}
	return d.hash(ctx, "password", in.Password)
}

// hash hashes a password that a member of the request has.
func (d *Director) hash(ctx context.Context, field string, password api.Secret) (string, error) {
	hash, err := d.passwords.Hash(ctx, password.Reveal())
	if errors.Is(err, auth.ErrPassword) {
		return "", api.InField(field, "%s", err.Error())
	}
	return hash, err
}

func checkRole(role api.UserRole) error {
	if role != api.RoleUser && role != api.RoleAdmin {
		return api.InField("role", "%q: want %s or %s", role, api.RoleUser, api.RoleAdmin)
	}
	return nil
}

// profileMax is the longest entry of a profile, in bytes.
const profileMax = 254

func checkProfile(p api.Profile) error {
	for _, f := range []struct{ field, value string }{
		{"email", p.Email}, {"first_name", p.FirstName}, {"last_name", p.LastName}, {"affiliation", p.Affiliation},
	} {
		switch {
		case len(f.value) > profileMax:
			return api.InField(f.field, "it has %d bytes, at most %d are allowed", len(f.value), profileMax)
		case !utf8.ValidString(f.value) || strings.ContainsFunc(f.value, func(r rune) bool { return !unicode.IsPrint(r) }):
			return api.InField(f.field, "it has characters that cannot be shown")
		}
	}
	before, after, at := strings.Cut(p.Email, "@")
	if p.Email != "" && (!at || before == "" || after == "" || strings.ContainsAny(p.Email, " ,;<>") || strings.Contains(after, "@")) {
		return api.InField("email", "%q is no address like name@example.org", p.Email)
	}
	return nil
}

// ChangeUser changes what is not nil. A user changes its own profile; role and disabled are for administrators.
func (d *Director) ChangeUser(ctx context.Context, a Actor, ref string, in api.UserChange) (api.User, error) {
	var u store.User
	err := d.store.Update(ctx, "user.changed", func(tx *store.Tx) (err error) {
		if u, err = account(&tx.Read, a, ref); err != nil {
			return err
		}
		if !a.Admin && (in.Role != nil || in.Disabled != nil) {
			return api.Errorf(api.CodeForbidden, "only an administrator changes role and disabled")
		}
		if err := changeUser(tx, u, in); err != nil {
			return err
		}
		u, err = tx.User(u.ID)
		return err
	})
	d.accessChanged(u.ID)
	return showUser(u), problem(err)
}

func changeUser(tx *store.Tx, u store.User, in api.UserChange) error {
	for _, f := range []struct{ to, from *string }{
		{&u.Profile.Email, in.Email}, {&u.Profile.FirstName, in.FirstName}, {&u.Profile.LastName, in.LastName}, {&u.Profile.Affiliation, in.Affiliation},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if err := checkProfile(u.Profile); err != nil {
		return err
	}
	if err := tx.SetProfile(u.ID, u.Profile); err != nil {
		return err
	}
	if in.Role != nil {
		if err := checkRole(*in.Role); err != nil {
			return err
		}
		if err := tx.SetUserRole(u.ID, *in.Role); err != nil {
			return err
		}
	}
	if in.Disabled != nil {
		return tx.SetDisabled(u.ID, *in.Disabled)
	}
	return nil
}
