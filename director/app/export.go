package app

import (
	"context"
	"iter"

	"conpaas/client/api"
	"conpaas/director/store"
)

// UserExport is an api.UserExport whose lists are read while they are sent: a history may be long.
type UserExport struct {
	User         api.User
	Tokens       iter.Seq2[api.UserToken, error]
	Certificates iter.Seq2[api.UserCertificate, error]
	Credit       iter.Seq2[api.CreditEntry, error]
	Applications iter.Seq2[api.Application, error]
	Orphans      iter.Seq2[api.Volume, error]
	Events       iter.Seq2[api.Event, error]
}

// ExportUser gives what is known of a user: the actor, or for an administrator anyone.
func (d *Director) ExportUser(ctx context.Context, a Actor, ref string) (UserExport, error) {
	u, err := d.User(ctx, a, ref)
	if err != nil {
		return UserExport{}, err
	}
	self := Actor{ID: u.ID, Name: u.Name}
	return UserExport{
		User:         u,
		Tokens:       pages(func(p Page) (api.List[api.UserToken], error) { return d.Tokens(ctx, self, me, p) }),
		Certificates: pages(func(p Page) (api.List[api.UserCertificate], error) { return d.UserCertificates(ctx, self, me, p) }),
		Credit: pages(func(p Page) (api.List[api.CreditEntry], error) {
			return d.CreditEntries(ctx, self, me, CreditQuery{}, p)
		}),
		Applications: pages(func(p Page) (api.List[api.Application], error) { return d.ownApplications(ctx, self, p) }),
		Orphans:      pages(func(p Page) (api.List[api.Volume], error) { return d.Orphans(ctx, self, p) }),
		Events:       pages(func(p Page) (api.List[api.Event], error) { return d.eventsOf(ctx, u.ID, p) }),
	}, nil
}

// ownApplications gives a page of the applications that a user owns: what others share with it is theirs.
func (d *Director) ownApplications(ctx context.Context, a Actor, p Page) (list api.List[api.Application], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		applications, next, err := r.Applications(a.ID, page)
		if err != nil {
			return err
		}
		list.Next = cursor(next)
		list.Items, err = showApplications(r, applications)
		return err
	})
	return list, problem(err)
}

// eventsOf gives a page of all that happened to a user's applications, oldest first.
func (d *Director) eventsOf(ctx context.Context, owner api.UserID, p Page) (list api.List[api.Event], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		events, next, err := r.EventsOf(owner, page)
		list = showEvents(events, next)
		return err
	})
	return list, problem(err)
}

// pages gives the items of all pages of a list.
func pages[T any](page func(Page) (api.List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for p := (Page{}); ; {
			list, err := page(p)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, item := range list.Items {
				if !yield(item, nil) {
					return
				}
			}
			if p.After = list.Next; p.After == "" {
				return
			}
		}
	}
}
