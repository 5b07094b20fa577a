package app

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"conpaas/client/api"
	"conpaas/director/store"
)

// CreditRules say what new users get.
type CreditRules struct {
	Initial int64 // INITIAL_CREDIT: where nothing else is asked for
	Max     int64 // MAX_CREDIT: the most that may be asked for
}

// Credit gives what a user has and spends: the actor, or for an administrator anyone.
func (d *Director) Credit(ctx context.Context, a Actor, ref string) (out api.Credit, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		u, err := account(r, a, ref)
		if err != nil {
			return err
		}
		out, err = creditOf(r, u.ID)
		return err
	})
	return out, problem(err)
}

func creditOf(r *store.Read, id api.UserID) (api.Credit, error) {
	c, err := r.Credit(id)
	return showCredit(r, c), err
}

func showCredit(r *store.Read, c store.Credit) api.Credit {
	out := api.Credit{ID: c.User, User: c.Name, Balance: c.Balance, Unlimited: c.Free, Machines: c.Machines}
	if c.Machines > 0 && !c.Free {
		ends := r.Now().Add(c.Lasts)
		out.Ends, out.Low = &ends, c.Lasts < store.LowCredit
	}
	return out
}

// Credits gives a page of what all users have; it is for administrators.
func (d *Director) Credits(ctx context.Context, p Page) (list api.List[api.Credit], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		credits, next, err := r.CreditPage(page)
		list.Items, list.Next = make([]api.Credit, len(credits)), cursor(next)
		for i, c := range credits {
			list.Items[i] = showCredit(r, c)
		}
		return err
	})
	return list, problem(err)
}

const (
	creditMax = 1_000_000_000 // of one change, and of a balance
	reasonMax = 500           // bytes
)

// AddCredit adds to a user's credits, or takes some; it is for administrators.
func (d *Director) AddCredit(ctx context.Context, a Actor, ref string, in api.CreditChange) (out api.CreditChanged, err error) {
	switch {
	case in.Amount == 0 || in.Amount < -creditMax || in.Amount > creditMax:
		return out, api.InField("amount", "%d: want a number of credits from 1 to %d, or a negative one to take some", in.Amount, creditMax)
	case len(in.Reason) > reasonMax:
		return out, api.InField("reason", "it has %d bytes, at most %d are allowed", len(in.Reason), reasonMax)
	case !utf8.ValidString(in.Reason) || strings.ContainsFunc(in.Reason, func(r rune) bool { return !unicode.IsPrint(r) }):
		return out, api.InField("reason", "it has characters that cannot be shown")
	}
	err = d.store.Update(ctx, "credit.changed", func(tx *store.Tx) error {
		u, err := account(&tx.Read, a, ref)
		if err != nil {
			return err
		}
		before, err := tx.Credit(u.ID)
		if err != nil {
			return err
		}
		if before.Balance+in.Amount > creditMax {
			return api.InField("amount", "user %q has %d credits and can have %d at most", u.Name, before.Balance, creditMax)
		}
		entry, err := tx.Grant(u.ID, api.CreditGrant, in.Amount, a.Name, in.Reason)
		if err != nil {
			return err
		}
		out.Entry = showEntry(entry)
		out.Credit, err = creditOf(&tx.Read, u.ID)
		return err
	})
	return out, problem(err)
}

// creditOwner gives whose entries ref names: a user, or for administrators the number of one who is deleted.
func creditOwner(r *store.Read, a Actor, ref string) (api.UserID, error) {
	u, err := account(r, a, ref)
	if id, number := strconv.ParseInt(ref, 10, 64); notFound(err) && a.Admin && number == nil {
		if entries, _, err := r.CreditEntries(api.UserID(id), store.CreditFilter{}, store.Page{Limit: 1}); err != nil || len(entries) > 0 {
			return api.UserID(id), err
		}
	}
	return u.ID, err
}

// CreditQuery says which entries are wanted; zero members mean all.
type CreditQuery struct {
	Application string // name or id; one that is deleted by its id
	Node        api.NodeID
}

func (q CreditQuery) filter(r *store.Read, user api.UserID) (f store.CreditFilter, err error) {
	f.Node = q.Node
	if q.Application == "" {
		return f, nil
	}
	v, err := findApplication(r, Actor{ID: user}, q.Application, toOwn)
	if id, number := strconv.ParseInt(q.Application, 10, 64); notFound(err) && number == nil {
		v.ID, err = api.ApplicationID(id), nil // of nobody else: entries are the user's own
	}
	f.Application = v.ID
	return f, err
}

// CreditEntries gives a page of the entries of a user, the oldest first: the actor's, or for an administrator anyone's.
func (d *Director) CreditEntries(ctx context.Context, a Actor, ref string, q CreditQuery, p Page) (api.List[api.CreditEntry], error) {
	return creditPage(ctx, d, a, ref, q, p, func(r *store.Read, user api.UserID, f store.CreditFilter, page store.Page) ([]api.CreditEntry, int64, error) {
		entries, next, err := r.CreditEntries(user, f, page)
		return converted(entries, showEntry), next, err
	})
}

// NodeCredits gives a page of what each node of a user has cost, by node.
func (d *Director) NodeCredits(ctx context.Context, a Actor, ref string, q CreditQuery, p Page) (api.List[api.NodeCredit], error) {
	return creditPage(ctx, d, a, ref, q, p, func(r *store.Read, user api.UserID, f store.CreditFilter, page store.Page) ([]api.NodeCredit, int64, error) {
		nodes, next, err := r.NodeCredits(user, f, page)
		return converted(nodes, func(n store.NodeCredit) api.NodeCredit {
			return api.NodeCredit{
				Node: n.Node, Application: n.Application, Service: n.Service, Hours: n.Hours, Credits: n.Credits, First: n.First, Last: n.Last,
			}
		}), next, err
	})
}

func creditPage[T any](ctx context.Context, d *Director, a Actor, ref string, q CreditQuery, p Page,
	read func(*store.Read, api.UserID, store.CreditFilter, store.Page) ([]T, int64, error),
) (list api.List[T], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		user, err := creditOwner(r, a, ref)
		if err != nil {
			return err
		}
		f, err := q.filter(r, user)
		if err != nil {
			return err
		}
		var next int64
		list.Items, next, err = read(r, user, f, page)
		list.Next = cursor(next)
		return err
	})
	return list, problem(err)
}

func showEntry(e store.CreditEntry) api.CreditEntry {
	return api.CreditEntry{
		ID: e.ID, Time: e.Time, Kind: e.Kind, Amount: e.Amount, Balance: e.Balance, Application: e.Application, Service: e.Service,
		Node: e.Node, Hour: e.Hour, By: e.By, Reason: e.Reason,
	}
}

// initialCredit gives what a new user begins with.
func (d *Director) initialCredit(asked *int64) (int64, error) {
	rules := d.config.Credit
	if asked == nil {
		return rules.Initial, nil
	}
	if *asked < 0 || *asked > rules.Max {
		return 0, api.InField("credit", "%d: want 0 to %d (MAX_CREDIT of the installation)", *asked, rules.Max)
	}
	return *asked, nil
}

// affordable refuses a change, already made in tx, after which an application needs more machines than its owner can pay for.
func affordable(tx *store.Tx, id api.ApplicationID) error {
	v, err := tx.Application(id)
	if err != nil {
		return err
	}
	services, err := tx.Services(id)
	if err != nil {
		return err
	}
	nodes, err := tx.LiveNodes(id)
	if err != nil {
		return err
	}
	missing := 1
	for _, s := range services {
		if s.Wanted != store.ServiceStarted {
			continue
		}
		for _, count := range s.Nodes {
			missing += count
		}
	}
	for _, n := range nodes {
		if acts(n) {
			missing--
		}
	}
	if missing <= 0 {
		return nil
	}
	if err := tx.Covers(v.Owner, missing); err != nil {
		return fmt.Errorf("application %q: %w", v.Name, err)
	}
	return nil
}
