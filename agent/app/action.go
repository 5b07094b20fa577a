package app

import (
	"context"
	"errors"
	"time"

	"conpaas/agent/service"
	"conpaas/client/api"
)

// Perform has the half of the node's type do an action, one at a time.
func (a *App) Perform(ctx context.Context, call service.ActionCall) error {
	want := a.latest()
	if want == nil {
		return api.Errorf(api.CodeUnavailable, "node %s has not been told yet what it is; try again", a.boot.Node)
	}
	make, ok := a.halves[want.Spec.Type]
	if !ok {
		return api.Errorf(api.CodeUnsupported, "this version of the agent has no service type %q", want.Spec.Type)
	}
	half := make()
	performer, ok := half.(service.Performer)
	if !ok {
		return api.Errorf(api.CodeNotFound, "services of type %s have no actions", want.Spec.Type)
	}
	if c, ok := half.(service.Closer); ok {
		defer c.Close()
	}
	select {
	case a.acting <- struct{}{}:
		defer func() { <-a.acting }()
	default:
		return api.Errorf(api.CodeThrottled, "an action runs on node %s already; try again when it has ended", a.boot.Node)
	}
	start, err := time.Now(), error(nil)
	if fault := a.safely("action", func() { err = performer.Perform(ctx, a.host, a.node(want.Spec), want.Spec.Roles, call) }); fault != nil {
		err = fault
	}
	a.log.Info("action", "action", call.Action, "duration", time.Since(start), "err", err)
	return performed(err)
}

// performed gives the error of a half the code that callers get.
func performed(err error) error {
	if _, ok := errors.AsType[*service.Skipped](err); err == nil || ok {
		return err
	}
	if _, ok := errors.AsType[*api.Error](err); ok {
		return err
	}
	return errors.Join(api.Errorf(api.CodeConflict, "%v", err), err)
}
