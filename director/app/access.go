package app

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"conpaas/client/api"
	"conpaas/director/store"
)

// need is what a use case asks of its caller's hold on an application. The zero need is that of the owner, so that a use
// case which says nothing better is closed to shares.
type need int

const (
	toOwn     need = iota // of the owner alone
	toOperate             // of the owner, and of shares at level operate
	toView                // of the owner, and of all shares
)

// The functions below are the only ones that look up what belongs to a user (a test reads the source). What a caller has no
// share of is not found; with a share that is too low it knows that the thing is there, and is told what it takes.

// findApplication gives an application by id, by name where it is the actor's, or by OWNER:NAME.
func findApplication(r *store.Read, a Actor, ref string, n need) (store.Application, error) {
	v, _, err := findHeld(r, a, ref, n)
	return v, err
}

// findHeld is findApplication that tells how the actor has it; level "" is its owner.
func findHeld(r *store.Read, a Actor, ref string, n need) (v store.Application, level api.ShareLevel, err error) {
	if v, level, err = r.Reach(a.ID, ref); err != nil {
		return v, level, err
	}
	return v, level, allow(r, a, v, level, n)
}

// findService gives a service of an application by id or name.
func findService(r *store.Read, a Actor, ref, service string, n need) (store.Service, error) {
	v, err := findApplication(r, a, ref, n)
	if err != nil {
		return store.Service{}, err
	}
	return r.FindService(v.ID, service)
}

// findNode gives a machine.
func findNode(r *store.Read, a Actor, id api.NodeID, n need) (store.Node, error) {
	node, v, level, err := r.ReachNode(a.ID, id)
	if err == nil {
		err = allow(r, a, v, level, n)
	}
	if err != nil {
		return store.Node{}, err
	}
	return node, nil
}

// findVolume gives a volume of an application by id or name.
func findVolume(r *store.Read, a Actor, ref, volume string, n need) (store.Volume, error) {
	v, err := findApplication(r, a, ref, n)
	if err != nil {
		return store.Volume{}, err
	}
	return r.FindVolume(v.ID, volume)
}

// findOrphan gives an orphan of the actor by id; an administrator finds those of nobody, too.
func findOrphan(r *store.Read, a Actor, id string) (store.Volume, error) {
	v, err := r.FindOrphan(a.ID, id)
	if a.Admin && notFound(err) {
		return r.FindOrphan(0, id)
	}
	return v, err
}

// findOperation gives an operation.
func findOperation(r *store.Read, a Actor, id api.OperationID, n need) (store.Operation, error) {
	op, v, level, err := r.ReachOperation(a.ID, id)
	if err == nil {
		err = allow(r, a, v, level, n)
	}
	if err != nil {
		return store.Operation{}, err
	}
	return op, nil
}

// allow refuses a share that is too low; level "" is the owner.
func allow(r *store.Read, a Actor, v store.Application, level api.ShareLevel, n need) error {
	if level == "" || n == toView || n == toOperate && level == api.ShareOperate {
		return nil
	}
	names, err := r.UserNames([]api.UserID{v.Owner})
	if err != nil {
		return err
	}
	owner := names[v.Owner]
	if n == toOperate {
		return api.Errorf(api.CodeForbidden, "application %q is shared with you to view only; ask its owner %s for: cps application share %s %s --level %s",
			v.Name, owner, v.Name, a.Name, api.ShareOperate)
	}
	return api.Errorf(api.CodeForbidden, "application %q is shared with you, and only its owner %s may do this", v.Name, owner)
}

// find is findApplication outside of transactions.
func (d *Director) find(ctx context.Context, a Actor, ref string, n need) (v store.Application, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		v, err = findApplication(r, a, ref, n)
		return err
	})
	return v, problem(err)
}

// findNode is findNode outside of transactions.
func (d *Director) findNode(ctx context.Context, a Actor, id api.NodeID, n need) (node store.Node, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		node, err = findNode(r, a, id, n)
		return err
	})
	return node, problem(err)
}

// recheck is how often it is asked whether who reads a stream still may, though nothing was heard of its access.
const recheck = 15 * time.Second

// whileReachable gives a context for a stream that goes on: it ends when the actor may not have it any more, at once where a share,
// the account, or the token or certificate has ended that it was begun by, soon where one of those has ended by itself or the
// application has. still tells whether it may; stop ends the context at once.
func (d *Director) whileReachable(ctx context.Context, a Actor, still func(*store.Read) error) (_ context.Context, stop context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	quiet := store.WithTrail(ctx, nil)
	ended := make(chan struct{})
	changed, unwatch := d.feed.watch(accessKey(a.ID))
	go func() {
		defer close(ended)
		defer unwatch()
		tick := time.NewTicker(recheck)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			case <-tick.C:
			}
			if d.outOfReach(quiet, a, still) {
				cancel()
				return
			}
		}
	}()
	return ctx, func() { cancel(); <-ended }
}

// outOfReach tells whether an actor is closed out, or what still asks for has ended. That it cannot be told now ends nothing.
func (d *Director) outOfReach(ctx context.Context, a Actor, still func(*store.Read) error) bool {
	err := d.store.View(ctx, func(r *store.Read) error {
		if err := opens(r, a); err != nil {
			return err
		}
		return still(r)
	})
	code := api.CodeFrom(problem(err))
	return code == api.CodeNotFound || code == api.CodeForbidden
}

// opens asks whether that by which an actor is known opens its account still, or gives ErrNotFound.
func opens(r *store.Read, a Actor) (err error) {
	var u store.User
	switch {
	case a.TokenHash != "":
		_, _, err = r.TokenUser(a.TokenHash)
	case a.Serial != "":
		_, _, err = r.CertificateUser(a.Serial)
	default:
		if u, err = r.User(a.ID); err == nil && u.Disabled {
			err = fmt.Errorf("user %q is disabled: %w", u.Name, store.ErrNotFound)
		}
	}
	return err
}

// accessChanged wakes the streams of a user, which look whether they may go on.
func (d *Director) accessChanged(user api.UserID) { d.feed.changed(accessKey(user)) }

func accessKey(user api.UserID) string { return "u" + strconv.FormatInt(int64(user), 10) }

// stillApplication asks for an application.
func stillApplication(a Actor, id api.ApplicationID, n need) func(*store.Read) error {
	return func(r *store.Read) error {
		_, err := findApplication(r, a, id.String(), n)
		return err
	}
}
