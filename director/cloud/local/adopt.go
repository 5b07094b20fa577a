package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"conpaas/client/daemon"
	"conpaas/director/cloud"
)

// found gives the machines on disk that are whole.
func (c *Cloud) found() ([]record, error) {
	entries, err := os.ReadDir(c.at.machines())
	if err != nil {
		return nil, fmt.Errorf("find the machines: %w", err)
	}
	var whole []record
	for _, e := range entries {
		r, err := c.load(cloud.MachineID(e.Name()))
		if err == nil && r.Whole && !r.ending && string(r.ID) == e.Name() {
			whole = append(whole, r)
		}
	}
	return whole, nil
}

// traces gives the names of all machines of which there is anything on the host.
func (c *Cloud) traces() (map[cloud.MachineID]bool, error) {
	dirs := []string{c.at.machines(), c.at.runc(), c.at.run}
	for _, root := range c.groups {
		dirs = append(dirs, root+c.at.cgroup)
	}
	names := map[cloud.MachineID]bool{}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("find traces of machines: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() {
				names[cloud.MachineID(e.Name())] = true
			}
		}
	}
	return names, nil
}

// adopt takes the whole machines over and removes the traces of all others. Trouble with one machine is logged, shows
// in its state, and does not keep the director from the others.
func (c *Cloud) adopt(ctx context.Context, whole []record) error {
	rest, err := c.traces()
	if err != nil {
		return err
	}
	for _, r := range whole {
		delete(rest, r.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(rest)) {
		r, err := c.load(id)
		if err != nil {
			r = record{}
		}
		r.ID = id
		c.config.Log.Info("a machine that is not whole is removed", "machine", string(id), "token", r.Token)
		if err := c.erase(ctx, r); err != nil {
			c.trouble(id, err)
			if r.Token != "" {
				c.enter(r) // Terminate can try again
			}
			continue
		}
		if err := c.pool.Release(r.Token); err != nil {
			return err
		}
	}
	if err := c.parted(whole); err != nil {
		return err
	}
	for _, r := range whole {
		m := c.enter(r)
		if err := c.resume(ctx, m); err != nil {
			c.trouble(r.ID, err)
		}
	}
	c.kind.republish(ctx)
	return ctx.Err()
}

func (c *Cloud) trouble(id cloud.MachineID, err error) {
	c.config.Log.Warn("a machine was not adopted well", "machine", string(id), daemon.KeyError, err)
}

// enter puts a machine that is on disk into memory.
func (c *Cloud) enter(r record) *machine {
	m := newMachine(r.ID, r.Token)
	m.now.Store(&r)
	close(m.made)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.machines[m.id], c.tokens[m.token] = m, m
	return m
}

// resume goes on with a whole machine where a former director, or the host, stopped.
func (c *Cloud) resume(ctx context.Context, m *machine) error {
	if r := *m.now.Load(); r.life.HostBoot != c.hostRun {
		if err := c.held.Kill(ctx, c.at.group(m.id)); err != nil {
			return err
		}
		built, err := c.kind.build(ctx, r, nil)
		if err != nil {
			return fmt.Errorf("boot it after the host's restart: %w", err)
		}
		if err := c.live(m, built.life); err != nil {
			return err
		}
	}
	r := *m.now.Load()
	if !r.life.Started || r.life.Task.Alive() {
		if err := c.replug(ctx, r); err != nil {
			return err
		}
	}
	if !r.life.Started {
		t, err := c.kind.start(ctx, r)
		if err != nil {
			return err
		}
		r.life.Started, r.life.Task = true, t
		if err := c.live(m, r.life); err != nil {
			return err
		}
	}
	if !r.life.Task.Alive() {
		return nil
	}
	c.watch(m, r.life.Task)
	return c.kind.connect(r)
}
