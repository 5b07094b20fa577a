package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/client/manager"
	"conpaas/director/store"
)

// ActionStream is one call of an action.
type ActionStream struct {
	Params url.Values
	In     io.Reader               // the whole body; where it is an io.Closer, Close stops a Read that waits
	Begun  func(a api.OperationID) // called once, before the first byte of Out
	Out    io.Writer
}

// Act has a machine of a service do an action of its type, and returns when that has ended: why nothing was done, where it is well
// that nothing was, or the error. Input and output are passed on as they come and not kept. Its operation ends before it returns.
func (d *Director) Act(ctx context.Context, a Actor, ref, service, action string, s ActionStream) (skipped string, err error) {
	client, v, row, kind, err := d.actionOf(ctx, a, ref, service, action)
	if err != nil {
		return "", err
	}
	params, err := paramsOf(kind, s.Params)
	if err != nil {
		return "", err
	}
	if !kind.Input {
		if err := noInput(kind, s.In); err != nil {
			return "", err
		}
		s.In = nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	run, err := d.beginAction(ctx, a, row, kind, cancel)
	if err != nil {
		return "", err
	}
	s.Begun(run.id)
	reach, end := d.whileReachable(ctx, a, stillApplication(a, v.ID, toOperate))
	defer end()
	skipped, err = run.pass(reach, client, d.epoch(v), params, s)
	if err = run.reason(reach, v, err); err != nil {
		skipped = ""
	}
	d.endAction(ctx, run, skipped, err)
	return skipped, err
}

// actionOf finds what an action needs.
func (d *Director) actionOf(ctx context.Context, a Actor, ref, service, action string) (c *manager.Client, v store.Application, s store.Service, kind api.ActionKind, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		if v, err = findApplication(r, a, ref, toOperate); err != nil {
			return err
		}
		s, err = findService(r, a, v.ID.String(), service, toOperate)
		return err
	})
	if err != nil {
		return nil, v, s, kind, problem(err)
	}
	row, err := d.serviceKind(s.Type)
	if err != nil {
		return nil, v, s, kind, err
	}
	kind, ok := row.FindAction(action)
	if !ok {
		return nil, v, s, kind, api.Errorf(api.CodeNotFound, "services of type %s have no action %.40q; there are: %s", s.Type, action, actionNames(row))
	}
	if s.Wanted != store.ServiceStarted {
		return nil, v, s, kind, api.Errorf(api.CodeConflict, "service %q is not started; start it with: cps service start %s %s", s.Name, ref, service)
	}
	c, err = d.managerOf(v)
	return c, v, s, kind, err
}

func actionNames(kind api.ServiceKind) string {
	names := make([]string, len(kind.Actions))
	for i, a := range kind.Actions {
		names[i] = a.Name
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// paramsOf checks the parameters of an action and fills in the defaults.
func paramsOf(kind api.ActionKind, given url.Values) (url.Values, error) {
	all := url.Values{}
	for _, p := range kind.Params {
		all.Set(p.Name, p.Default)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		i := slices.IndexFunc(kind.Params, func(p api.Setting) bool { return p.Name == name })
		if i < 0 {
			return nil, api.InField("query."+cut(name, nameMax), "action %s has no such parameter", kind.Name)
		}
		value, err := kind.Params[i].Parse(given.Get(name))
		if err != nil {
			return nil, api.InField("query."+name, "%s", err.Error())
		}
		all.Set(name, value)
	}
	return all, nil
}

// noInput refuses a body that an action does not take. It waits for the end of one that is empty.
func noInput(kind api.ActionKind, in io.Reader) error {
	n, err := io.ReadFull(in, make([]byte, 1))
	switch {
	case n > 0:
		return api.InField("body", "action %s takes none", kind.Name)
	case errors.Is(err, io.EOF):
		return nil
	}
	return api.InField("body", "it ended early: send none")
}

// pass has the manager do it.
func (r *runningAction) pass(ctx context.Context, client *manager.Client, epoch api.Epoch, params url.Values, s ActionStream) (skipped string, err error) {
	var in io.Reader
	if s.In != nil {
		r.in.from = s.In
		in = &r.in
	}
	r.out.to = s.Out
	answer, err := client.Act(ctx, epoch, r.service, r.kind.Name, params, in)
	if err != nil {
		return "", err
	}
	defer answer.Close()
	if !r.kind.Output {
		if n, err := io.ReadFull(answer, make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
			return "", errors.Join(err, errOutput)
		}
		return answer.Header.Get(api.HeaderSkipped), nil
	}
	_, err = io.Copy(&r.out, answer)
	return answer.Header.Get(api.HeaderSkipped), err
}

var errOutput = errors.New("an action without output has one")

// reason says why an action has ended before its end, as its caller may see it.
func (r *runningAction) reason(ctx context.Context, v store.Application, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(ctx), errCancelled):
		return api.Errorf(api.CodeConflict, "the operation was cancelled")
	case r.in.failed() != nil:
		if known, ok := errors.AsType[*api.Error](r.in.failed()); ok {
			return known
		}
		return errors.Join(api.Errorf(api.CodeUnavailable, "the input has broken off after %d bytes", r.in.count.Load()), r.in.failed())
	case r.out.err != nil:
		return errors.Join(api.Errorf(api.CodeUnavailable, "nobody takes the output any more, after %d bytes", r.out.count.Load()), r.out.err)
	case ctx.Err() != nil:
		return errors.Join(api.Errorf(api.CodeUnavailable, "the caller has left, or may not operate the application any more"), ctx.Err())
	}
	return saidByManager(ctx, v, err)
}

// endAction notes how an action has ended, in its operation and in the history. That it cannot be noted changes nothing of it.
func (d *Director) endAction(ctx context.Context, r *runningAction, skipped string, failure error) {
	defer d.actions.end(r.id)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(store.WithTrail(ctx, nil)), actionEnd)
	defer cancel()
	text := fmt.Sprintf("%s has ended", r.kind.Name)
	switch {
	case failure != nil:
		text = fmt.Sprintf("%s has failed: %v", r.kind.Name, failureOf(failure).Detail)
	case skipped != "":
		text = fmt.Sprintf("%s has done nothing: %s", r.kind.Name, skipped)
	}
	err := d.store.Update(ctx, "action.ended", func(tx *store.Tx) error { return noteEnd(tx, r, text, failure) })
	if err != nil && !notFound(err) {
		d.log.Warn("the end of an action is not on record", "operation", r.id, "text", text, "err", err)
	}
	d.wake(r.application)
}
