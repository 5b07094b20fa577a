package local

import (
	"context"
	"fmt"
	"os"
	"time"

	"conpaas/director/cloud"
)

// Terminate ends a machine and removes everything of it.
func (c *Cloud) Terminate(ctx context.Context, id cloud.MachineID) error {
	ctx, call, err := c.begin(ctx, "terminate")
	if err != nil {
		return err
	}
	return call.end(c.terminate(ctx, id))
}

func (c *Cloud) terminate(ctx context.Context, id cloud.MachineID) error {
	c.mu.Lock()
	m, ok := c.machines[id]
	c.mu.Unlock()
	if !ok {
		return nil
	}
	if err := m.lock(ctx); err != nil { // a machine that is being made is awaited
		return err
	}
	defer m.unlock()
	before, existed := m.state()
	if err := c.vanish(ctx, m); err != nil {
		return err
	}
	if existed {
		c.remember(before)
	}
	return c.pool.Release(m.token)
}

// vanish removes a machine from the host and from memory. The caller is busy with it.
func (c *Cloud) vanish(ctx context.Context, m *machine) error {
	m.unwatch()
	r := record{ID: m.id, Token: m.token}
	if kept := m.now.Load(); kept != nil {
		if err := c.condemn(m); err != nil {
			return err
		}
		r = *m.now.Load()
	}
	if err := c.erase(ctx, r); err != nil {
		return err
	}
	if err := c.part(ctx, r.ID); err != nil {
		return err
	}
	m.now.Store(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.machines, m.id)
	if c.tokens[m.token] == m {
		delete(c.tokens, m.token)
	}
	return nil
}

// erase removes what there may be of a machine, in the order in which nothing is in use any more. It may be repeated
// after it stopped anywhere.
func (c *Cloud) erase(ctx context.Context, r record) error {
	group := c.at.group(r.ID)
	if err := c.kind.unpublish(ctx, r.ID); err != nil {
		return err
	}
	c.place("erase:unpublished")
	if err := c.kind.release(ctx, r.ID); err != nil {
		return err
	}
	if err := c.held.Kill(ctx, group); err != nil {
		return err
	}
	c.place("erase:killed")
	if err := c.kind.remove(r); err != nil {
		return err
	}
	c.place("erase:removed")
	if _, err := c.held.Remove(group); err != nil {
		return err
	}
	if err := os.RemoveAll(c.at.machine(r.ID)); err != nil {
		return fmt.Errorf("remove the machine's directory: %w", err)
	}
	c.place("erase:deleted")
	return nil
}

// ghost is a machine that was terminated, for the schedule's sake.
type ghost struct {
	machine cloud.Machine
	since   time.Time
}

// remember keeps a terminated machine in mind, of which there are never many.
func (c *Cloud) remember(m cloud.Machine) {
	const most = 256
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ghosts = append(c.ghosts, ghost{machine: m, since: now()})
	if len(c.ghosts) > most {
		c.ghosts = c.ghosts[1:]
	}
}
