package app

import (
	"context"
	"strconv"

	"conpaas/client/api"
	"conpaas/director/store"
)

// Shares gives a page of the shares of an application; they are for its owner.
func (d *Director) Shares(ctx context.Context, a Actor, ref string, p Page) (list api.List[api.Share], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		v, err := findApplication(r, a, ref, toOwn)
		if err != nil {
			return err
		}
		shares, next, err := r.Shares(v.ID, page)
		if err != nil {
			return err
		}
		ids := make([]api.UserID, len(shares))
		for i, s := range shares {
			ids[i] = s.User
		}
		names, err := r.UserNames(ids)
		list.Items, list.Next = make([]api.Share, len(shares)), cursor(next)
		for i, s := range shares {
			list.Items[i] = showShare(s, names[s.User])
		}
		return err
	})
	return list, problem(err)
}

func showShare(s store.Share, user string) api.Share {
	return api.Share{Application: s.Application, User: user, Level: s.Level, Created: s.Created}
}

// sharing is what the limit on tries counts names as with which nothing can be shared: no user has that name.
const sharing = "/share/"

// ShareApplication shares an application with another user, or changes the level of its share. That there is no such user has to
// be said, or a mistyped name would go unseen; so how often an owner may be told that is limited like failed logins.
func (d *Director) ShareApplication(ctx context.Context, a Actor, ref, user string, in api.ShareChange, from string) (out api.Share, err error) {
	if in.Level == "" {
		in.Level = api.ShareView
	}
	if in.Level != api.ShareView && in.Level != api.ShareOperate {
		return out, api.InField("level", "%.40q: want %s or %s", in.Level, api.ShareView, api.ShareOperate)
	}
	if _, err := d.find(ctx, a, ref, toOwn); err != nil {
		return out, err
	}
	tries := sharing + strconv.FormatInt(int64(a.ID), 10)
	address, err := d.try(tries, from, "names of users that do not exist")
	if err != nil {
		return out, err
	}
	var with api.UserID
	err = d.store.Update(ctx, "application.shared", func(tx *store.Tx) error {
		v, err := findApplication(&tx.Read, a, ref, toOwn)
		if err != nil {
			return err
		}
		u, err := tx.NamedUser(user)
		switch {
		case err == nil && u.Disabled, notFound(err):
			return api.Errorf(api.CodeNotFound, "there is no user %q with whom it can be shared", user)
		case err != nil:
			return err
		case u.ID == v.Owner:
			return api.Errorf(api.CodeConflict, "application %q is your own already", v.Name)
		}
		s, err := tx.PutShare(v.ID, u, in.Level)
		out, with = showShare(s, u.Name), u.ID
		return err
	})
	if err == nil {
		d.accessChanged(with) // to a lower level, perhaps
		d.logins.Succeeded(tries, address)
	}
	return out, problem(err)
}

// UnshareApplication ends the share of a user, at once. The owner ends any; who has one leaves it with its own name or me.
func (d *Director) UnshareApplication(ctx context.Context, a Actor, ref, user string) error {
	var with api.UserID
	err := d.store.Update(ctx, "application.unshared", func(tx *store.Tx) error {
		n := toOwn
		if user == me || user == a.Name || user == strconv.FormatInt(int64(a.ID), 10) {
			user, n = strconv.FormatInt(int64(a.ID), 10), toView
		}
		v, err := findApplication(&tx.Read, a, ref, n)
		if err != nil {
			return err
		}
		u, err := tx.NamedUser(user)
		if with = u.ID; err == nil {
			err = tx.DeleteShare(v.ID, u)
		}
		if notFound(err) {
			return api.Errorf(api.CodeNotFound, "application %q is not shared with a user %q", v.Name, user)
		}
		return err
	})
	if err == nil {
		d.accessChanged(with)
	}
	return problem(err)
}
