// Package generic is the agent half of the service type generic: it runs the scripts of the service's owner.
//
// A version is unpacked beside the one in use, and its init.sh run, before it is used. notify.sh runs whenever the members of the
// service or its variables are others than those that it was told of last: one at a time, and once more for all that has changed
// meanwhile. run.sh, interrupt.sh and cleanup.sh run when their owner says so, by numbered commands, each number at most once: what is
// about to begin is on disk before it does, and the program itself takes the token away with which it may begin.
//
// Scripts run in sessions of their own, as a user of their own unless their owner wants root, and outlive the agent. What a script leaves running
// goes on until the same script begins again.
package generic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/client/api"
)

// scriptUser runs the scripts.
const scriptUser = "cpsscript"

// Half is the agent half.
type Half struct {
	account func(context.Context, *host.Host) (host.User, error) // of the scripts
	tasks   map[string]*host.Task                                // by script; those that were looked for
	job     *job                                                 // nil while no version is unpacked
}

var (
	_ service.Half   = (*Half)(nil)
	_ service.Closer = (*Half)(nil)
)

// New makes the agent half.
func New() *Half {
	return &Half{tasks: map[string]*host.Task{}, account: func(ctx context.Context, h *host.Host) (host.User, error) {
		return h.Account(ctx, scriptUser, h.State().Path(homeDir))
	}}
}

// machine is one look at the machine, or one change of it.
type machine struct {
	half *Half
	h    *host.Host
	n    service.Node
	role api.Role
	c    api.GenericConfig
	user host.User
	rec  record
}

// Apply implements service.Half.
func (s *Half) Apply(ctx context.Context, h *host.Host, n service.Node, roles []api.RoleSpec) map[api.Role]error {
	if len(roles) == 0 {
		if err := s.Stop(ctx, h); err != nil {
			return map[api.Role]error{api.RoleNode: err}
		}
		return nil
	}
	role, c, err := decode(roles, n)
	if err == nil {
		m := &machine{half: s, h: h, n: n, role: role, c: c}
		if err = m.open(ctx); err == nil {
			err = m.advance(ctx)
		}
	}
	if err != nil {
		return map[api.Role]error{role: err}
	}
	return nil
}

// open makes what scripts find on the machine, and reads what was done.
func (m *machine) open(ctx context.Context) (err error) {
	if !m.c.Root {
		if m.user, err = m.half.account(ctx, m.h); err != nil {
			return err
		}
	}
	err = errors.Join(m.h.State().Mkdir(codeDir, 0o755, host.User{}), m.h.State().Mkdir(homeDir, 0o700, m.user))
	for _, v := range m.n.Volumes {
		err = errors.Join(err, m.h.State().Mkdir("volumes/"+v.Name, 0o755, m.user))
	}
	if err != nil {
		return err
	}
	m.rec, err = readRecord(m.h)
	return err
}

// advance takes the steps that are possible now. What is to be done once something has ended is a *service.Waiting.
func (m *machine) advance(ctx context.Context) error {
	if err := m.look(ctx); err != nil {
		return err
	}
	// An interrupt ends what the other steps may wait for.
	if err := m.interrupt(ctx); err != nil {
		return err
	}
	err := m.versions(ctx)
	if m.rec.Current != m.c.Version {
		if m.rec.Versions[m.c.Version].Refused != "" && m.fresh() {
			err = errors.Join(err, m.answer(fmt.Sprintf("code version %s cannot be used", m.c.Version)))
		}
		return err
	}
	return errors.Join(err, m.notify(ctx), m.command(ctx))
}

// busy gives the scripts that run, of some names.
func (m *machine) busy(names ...string) (running []string) {
	for _, name := range names {
		if m.rec.Scripts[name].Running {
			running = append(running, name+".sh")
		}
	}
	return running
}

// Stop implements service.Half.
func (s *Half) Stop(ctx context.Context, h *host.Host) error {
	s.endJob()
	var errs []error
	for _, name := range api.GenericScripts() {
		t, err := s.task(h, name)
		if err == nil {
			err = t.End(ctx)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("end the scripts: %w", err)
	}
	return h.State().Remove(stateDir)
}

// Close implements service.Closer: scripts go on.
func (s *Half) Close() {
	s.endJob()
	for _, name := range slices.Sorted(maps.Keys(s.tasks)) {
		s.tasks[name].Release()
		delete(s.tasks, name)
	}
}
