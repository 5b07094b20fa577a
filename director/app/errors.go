package app

import (
	"errors"
	"strings"

	"conpaas/client/api"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// problem gives the error of a use case the code that its caller gets. What the store says of rows is meant for
// people; what it says of the disk tells them to try again.
func problem(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*api.Error](err); ok {
		return err
	}
	for _, m := range []struct {
		is   error
		code api.Code
	}{
		{store.ErrNotFound, api.CodeNotFound},
		{store.ErrExists, api.CodeConflict},
		{store.ErrConflict, api.CodeConflict},
		{store.ErrOtherKey, api.CodeConflict},
		{life.ErrTransition, api.CodeConflict},
		{store.ErrQuota, api.CodeQuota},
		{store.ErrCredit, api.CodeCredit},
		{api.ErrName, api.CodeInvalid},
	} {
		if errors.Is(err, m.is) {
			return api.Errorf(m.code, "%s", err.Error())
		}
	}
	switch {
	case errors.Is(err, store.ErrFull):
		return api.Errorf(api.CodeFull, "the director's disk is full; nothing was changed; free some space and try again")
	case errors.Is(err, store.ErrReadOnly), errors.Is(err, store.ErrBusy):
		return api.Errorf(api.CodeUnavailable, "the director's database cannot be written now; nothing was changed; try again")
	}
	return err
}

// taken says that a name is in use.
func taken(err error, what, name string) error {
	if errors.Is(err, store.ErrExists) {
		e := api.Errorf(api.CodeConflict, "%s %q exists already; choose another name", what, name)
		if errors.Is(err, store.ErrAlike) {
			e = api.Errorf(api.CodeConflict, "%s %q would be taken for one that exists, whose name differs in case alone; choose another name", what, name)
		}
		e.Field = "name"
		return e
	}
	return problem(err)
}

// checkName checks a name that a request carries.
func checkName(name string) error {
	if err := api.CheckName(name); err != nil {
		return api.InField("name", "%s", strings.TrimPrefix(err.Error(), "name: "))
	}
	return nil
}
