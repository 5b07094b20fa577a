package generic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"syscall"
	"time"

	"conpaas/agent/service"
	"conpaas/client/api"
)

// notify writes down the members, and runs notify.sh when they, the variables or the version are others than it was told of last.
func (m *machine) notify(ctx context.Context) error {
	if last := m.rec.Scripts[api.GenericNotify]; last.Running {
		// What it reads stays as it is until it has ended, and it is run once more if that is another one then.
		return &service.Waiting{For: "notify.sh runs since " + last.Begun.Format(time.RFC3339), Busy: true}
	}
	text, err := json.MarshalIndent(m.c.Members, "", " ")
	if err != nil {
		return err
	}
	if err := m.writeAgents(append(text, '\n')); err != nil {
		return err
	}
	told := digest(m.rec.Current, m.c.Members, m.env())
	if m.rec.Notified == told {
		return nil
	}
	if !m.has(m.rec.Current, api.GenericNotify) {
		m.rec.Notified = told
		return m.rec.write(m.h)
	}
	if busy := m.busy(api.GenericInit); len(busy) > 0 {
		return &service.Waiting{For: "notify.sh waits for the end of init.sh", Busy: true}
	}
	if err := m.start(ctx, api.GenericNotify, m.rec.Current, nil, func(r *record) { r.Notified = told }); err != nil {
		return err
	}
	return &service.Waiting{For: "notify.sh has begun", Busy: true}
}

// writeAgents replaces the file of the members in one step.
func (m *machine) writeAgents(text []byte) error {
	dir, err := m.h.Place(path.Dir(api.GenericAgents))
	if err != nil {
		return err
	}
	_, err = dir.Write(path.Base(api.GenericAgents), text, 0o644)
	return errors.Join(err, dir.Close())
}

// fresh tells whether there is a command that was neither begun nor refused here.
func (m *machine) fresh() bool { return m.c.Command != nil && m.c.Command.Number > m.rec.Command }

// interrupt has what runs end: by interrupt.sh, or by SIGTERM where there is none; what still runs at the second time is killed.
func (m *machine) interrupt(ctx context.Context) error {
	if !m.fresh() || m.c.Command.Name != api.GenericInterrupt {
		return nil
	}
	done := func(r *record) { r.Command, r.Refusal = m.c.Command.Number, "" }
	var running []string
	again := m.rec.Scripts[api.GenericInterrupt].Running
	for _, name := range api.GenericScripts() {
		if r := m.rec.Scripts[name]; r.Running {
			running, again = append(running, name), again || r.Interrupted
		}
	}
	if again {
		for _, name := range running {
			if err := m.kill(ctx, name, "it was killed by a second interrupt"); err != nil {
				return err
			}
		}
	} else {
		for _, name := range running {
			r := m.rec.Scripts[name]
			r.Interrupted = true
			m.rec.Scripts[name] = r
		}
		if len(running) > 0 && m.has(m.rec.Current, api.GenericInterrupt) {
			return m.start(ctx, api.GenericInterrupt, m.rec.Current, m.c.Command.Parameters, done)
		}
		for _, name := range running {
			t, err := m.half.task(m.h, name)
			if err == nil {
				err = t.Signal(syscall.SIGTERM)
			}
			if err != nil {
				return err
			}
		}
	}
	return m.answer("")
}

// command begins run.sh or cleanup.sh, or notes why not.
func (m *machine) command(ctx context.Context) error {
	if !m.fresh() {
		return nil
	}
	c := m.c.Command
	if busy := m.busy(api.GenericInit, api.GenericNotify); len(busy) > 0 {
		return &service.Waiting{For: fmt.Sprintf("%s.sh waits for the end of %s", c.Name, busy[0]), Busy: true}
	}
	refusal := ""
	if busy := m.busy(api.GenericRun, api.GenericInterrupt, api.GenericCleanup); len(busy) > 0 {
		refusal = busy[0] + " runs"
	} else if m.has(m.rec.Current, c.Name) {
		return m.start(ctx, c.Name, m.rec.Current, c.Parameters, func(r *record) { r.Command, r.Refusal = c.Number, "" })
	} else if c.Name == api.GenericRun {
		refusal = fmt.Sprintf("code version %s has no run.sh", m.rec.Current)
	}
	return m.answer(refusal)
}

// answer notes that the command needs nothing more here, and why it was refused, where it was.
func (m *machine) answer(refusal string) error {
	m.rec.Command, m.rec.Refusal = m.c.Command.Number, refusal
	return m.rec.write(m.h)
}
