package app

import (
	"context"
	"fmt"
	"strings"

	"conpaas/client/api"
	"conpaas/director/store"
)

// DeleteUser removes a user with all that opens its account; it is for administrators. While the user has applications it is
// refused, unless they are to go, too: then the account is closed at once, its applications are deleted, and it goes with the
// last of them (store.PurgeApplication), whatever happens to the director meanwhile.
func (d *Director) DeleteUser(ctx context.Context, a Actor, ref string, withApplications bool) error {
	var going []api.ApplicationID
	var u store.User
	err := d.store.Update(ctx, "user.deleted", func(tx *store.Tx) (err error) {
		if u, err = account(&tx.Read, a, ref); err != nil {
			return err
		}
		names, err := leftOf(&tx.Read, u.ID)
		switch {
		case err != nil || withApplications && !u.Deleting.IsZero():
			return err
		case len(names) == 0:
			return tx.DeleteUser(u.ID)
		case !withApplications:
			return api.Errorf(api.CodeConflict, "user %q still has the applications %s; they have to be deleted first, or with it: cps user delete --with-applications",
				u.Name, strings.Join(names, ", "))
		}
		if err := tx.MarkDeleting(u.ID); err != nil {
			return err
		}
		going, err = deleteAll(tx, u.ID)
		return err
	})
	d.accessChanged(u.ID)
	for _, id := range going {
		d.wakeFor(ctx, id)
	}
	return problem(err)
}

// deleteAll wants all applications of a user deleted, as DeleteApplication does, and gives their ids.
func deleteAll(tx *store.Tx, owner api.UserID) (ids []api.ApplicationID, err error) {
	for page := (store.Page{}); ; {
		applications, next, err := tx.Applications(owner, page)
		if err != nil {
			return nil, err
		}
		for _, v := range applications {
			wish, err := wantIn(tx, v.ID, api.OpApplicationDelete, store.ApplicationDeleted)
			if err != nil {
				return nil, err
			}
			if _, err := tx.CreateOperation(wish); err != nil {
				return nil, err
			}
			ids = append(ids, v.ID)
		}
		if page.After = next; next == 0 {
			return ids, nil
		}
	}
}

// leftOf names the applications that a user has, the first ten with their state.
func leftOf(r *store.Read, owner api.UserID) ([]string, error) {
	const most = 10
	left, next, err := r.Applications(owner, store.Page{Limit: most})
	names := make([]string, len(left))
	for i, v := range left {
		names[i] = fmt.Sprintf("%q (%s)", v.Name, v.State)
		if v.Wanted == store.ApplicationDeleted {
			names[i] = fmt.Sprintf("%q (being deleted)", v.Name)
		}
	}
	if next != 0 {
		names = append(names, "…")
	}
	return names, err
}
