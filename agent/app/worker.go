package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/client/api"
	"conpaas/client/daemon"
)

// worker is the state of the one goroutine that changes the machine.
type worker struct {
	a    *App
	kind api.ServiceType
	half service.Half // of kind

	done    *stored            // the last that was applied, with or without success
	errs    map[api.Role]error // of the roles at that
	err     error              // of everything else at that
	failed  bool               // there was one of either
	again   *time.Timer        // when to apply it once more
	delays  *backoff.ExponentialBackOff
	pause   time.Duration       // before the next look at a role that is not ready
	reports map[api.Role]string // last reason that was logged, so that it is logged once
	named   string              // api.SumNames of the names that are written
	startup startup             // of the machine
	task    *host.Task          // its script; nil until it is looked for
	unnamed sync.Once           // it was logged that names are not written
}

// work makes the machine what the latest spec says, again where that did not work, and reports how its roles are,
// until ctx ends.
func (a *App) work(ctx context.Context) {
	w := &worker{a: a, delays: backoff.NewExponentialBackOff(), again: time.NewTimer(0), reports: map[api.Role]string{}}
	w.delays.InitialInterval, w.delays.MaxInterval = a.timing.RetryFirst, a.timing.RetryLast
	defer w.again.Stop()
	defer w.close()
	if err := w.openStartup(); err != nil {
		a.log.Error("how far the start-up script is cannot be read; it is run again unless it succeeded", "err", err)
	}
	look := time.NewTimer(a.timing.Look)
	defer look.Stop()
	retry := false
	for {
		want := a.latest()
		if want != w.done || retry {
			w.apply(ctx, want)
		}
		look.Reset(w.look(ctx))
		retry = false
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
			// a blob has come, or a spec
			retry = w.err != nil
		case <-w.again.C:
			retry = true
		case <-look.C:
		case <-a.host.Service().Changed():
		}
	}
}

// apply brings the machine to want. The overlay comes first, since roles bind its address. Missing blobs keep only
// the roles waiting that need them; the spec is not applied before all have come.
func (w *worker) apply(ctx context.Context, want *stored) {
	if w.done != want {
		w.delays.Reset()
		w.pause = w.a.timing.Look / 16 // most programs are there at once
	}
	request := w.a.trace.ID()
	ctx, cancel := context.WithTimeout(ctx, w.a.timing.Apply)
	defer cancel()
	if want == nil {
		w.err = w.a.overlay.sync(ctx)
	} else {
		w.errs, w.err = w.perform(ctx, want)
	}
	w.settle(want)
	if !w.failed && want == w.a.latest() {
		w.a.trace.End(request)
	}
}

// settle notes what was applied and plans the next time.
func (w *worker) settle(want *stored) {
	news := w.done != want || w.failed
	w.done, w.failed = want, w.failure() != ""
	next := w.a.timing.Reapply
	waits, busy := service.Waits(errors.Join(append(slices.Collect(maps.Values(w.errs)), w.err)...))
	switch {
	case busy:
		next = w.a.timing.Look
	case w.failed:
		next = w.delays.NextBackOff()
	}
	w.again.Reset(next)
	if text := w.failure(); waits {
		w.a.log.Debug("spec is not applied yet", "retry", next, "err", text)
	} else if text != "" {
		w.a.log.Warn("spec is not applied", "retry", next, "err", text)
	} else if want != nil && news {
		w.a.log.Info("spec is applied", "revision", want.Spec.Revision, daemon.KeyService, want.Spec.Service, "roles", len(want.Spec.Roles), "peers", len(want.Spec.Overlay.Peers))
	}
}

// note writes down what is applied. It goes out together with the states of the roles, which would else look as if
// they were already those of the new spec.
func (w *worker) note(s *api.NodeStatus) {
	s.Error, s.Trust, s.Names, s.Startup = w.failure(), w.a.renewal.Trust(), w.named, w.startup.Sum
	if len(w.beginning()) > 0 { // nothing is wrong yet, and nothing is applied
		s.Error = ""
		return
	}
	if s.Error == "" && w.done != nil {
		s.Applied = w.done.Spec.Revision
		s.Fingerprint, _ = w.done.Spec.Fingerprint() // its configurations were checked to be JSON
	}
}

func (w *worker) failure() string {
	errs := []error{w.err}
	for _, role := range slices.Sorted(maps.Keys(w.errs)) {
		errs = append(errs, fmt.Errorf("role %s: %w", role, w.errs[role]))
	}
	if err := errors.Join(errs...); err != nil {
		return err.Error()
	}
	return ""
}

func (w *worker) perform(ctx context.Context, want *stored) (map[api.Role]error, error) {
	a, s := w.a, want.Spec
	saved := a.saveSpec(want) // peers that came as a change are not on disk yet; a full disk does not keep them from being applied
	if err := a.overlay.sync(ctx); err != nil {
		return nil, errors.Join(saved, err)
	}
	saved = errors.Join(saved, w.resolve(s.Names))
	lacks := a.lacks(s.Blobs)
	a.board.change(func(st *api.NodeStatus) { st.Lacks = lacks })
	if err := w.begin(ctx, s); err != nil {
		return nil, errors.Join(saved, err)
	}
	half, err := w.halfOf(ctx, s.Type)
	if err != nil {
		return nil, errors.Join(saved, err)
	}
	var errs map[api.Role]error
	mounts := w.mount(ctx, s.Volumes)
	err = a.safely("apply", func() { errs = half.Apply(ctx, a.host, a.node(s), s.Roles) })
	err = errors.Join(err, mounts, w.unmount(s.Volumes), a.missing(lacks, s.Blobs))
	if err == nil && len(errs) == 0 {
		err = a.blobs.Prune(s.Blobs)
	}
	return errs, errors.Join(saved, err)
}

// missing says how many blobs are awaited and how much of the first is here; nil for none. All names are in the status.
func (a *App) missing(lacks, all []string) error {
	if len(lacks) == 0 {
		return nil
	}
	first, _ := a.blobs.Find(lacks[0]) // zero where there is nothing of it
	return &service.Waiting{For: fmt.Sprintf("%d of %d blobs have not come yet, the first is %.12s… with %d bytes so far", len(lacks), len(all), lacks[0], first.Length)}
}

// halfOf gives the half of a type. When the type changes the old half's programs are ended by name, also those
// that an agent before this one has started: the new half's first Apply ends what it does not know.
func (w *worker) halfOf(ctx context.Context, kind api.ServiceType) (service.Half, error) {
	if w.half != nil && w.kind == kind {
		return w.half, nil
	}
	if w.half != nil {
		if err := w.half.Stop(ctx, w.a.host); err != nil {
			return nil, fmt.Errorf("stop the roles of type %s: %w", w.kind, err)
		}
		w.close()
	}
	make, ok := w.a.halves[kind]
	if !ok {
		return nil, fmt.Errorf("this version of the agent has no service type %q", kind)
	}
	w.kind, w.half = kind, make()
	return w.half, nil
}

// close ends what the half does in the background, and lets go of a start-up script.
func (w *worker) close() {
	if w.task != nil {
		w.task.Release()
		w.task = nil
	}
	if c, ok := w.half.(service.Closer); ok {
		c.Close()
	}
	w.half = nil
}

// look asks how the roles are, and tells when to look again.
func (w *worker) look(ctx context.Context) time.Duration {
	if w.half == nil || w.done == nil {
		w.a.board.change(func(st *api.NodeStatus) {
			w.note(st)
			st.Roles = w.beginning()
		})
		return w.a.timing.Watch
	}
	s := w.done.Spec
	var roles []api.RoleStatus
	if err := w.a.safely("look", func() { roles = w.half.Status(ctx, w.a.host, w.a.node(s), s.Roles) }); err != nil {
		for _, r := range s.Roles {
			roles = append(roles, api.RoleStatus{Role: r.Role, State: api.RoleFailed, Reason: err.Error()})
		}
	}
	pause := w.a.timing.Watch
	for i, r := range roles {
		if err := w.errs[r.Role]; err != nil {
			if waits, _ := service.Waits(err); !waits {
				roles[i].State, roles[i].Reason = api.RoleFailed, err.Error()
			} else if r.Reason == "" {
				roles[i].Reason = err.Error()
			}
		}
		if roles[i].State == api.RoleStarting || roles[i].State == api.RoleFailed {
			pause = w.pause
		}
		w.tell(roles[i])
	}
	w.pause = min(2*w.pause, w.a.timing.Look)
	if ctx.Err() == nil {
		w.a.board.change(func(st *api.NodeStatus) {
			w.note(st)
			st.Roles = roles
		})
	}
	return pause
}

// safely makes a panic of a half an error: a configuration that brings one about must not end the agent, which would
// find it on its disk again and could not be sent another.
func (a *App) safely(what string, f func()) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			a.log.Error("panic of a service's half", "in", what, "fault", fault, "stack", string(debug.Stack()))
			err = fmt.Errorf("a fault of the agent: %v", fault)
		}
	}()
	f()
	return nil
}

// tell logs a role's state when it is another than before.
func (w *worker) tell(r api.RoleStatus) {
	now := string(r.State) + " " + r.Reason
	if w.reports[r.Role] == now {
		return
	}
	w.reports[r.Role] = now
	w.a.log.Info("role", daemon.KeyRole, r.Role, "state", r.State, "reason", r.Reason, "pids", r.PIDs)
}
