package local

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"conpaas/director/cloud"
)

// Describe gives one machine.
func (c *Cloud) Describe(ctx context.Context, id cloud.MachineID) (cloud.Machine, error) {
	_, call, err := c.begin(ctx, "describe")
	if err != nil {
		return cloud.Machine{}, err
	}
	_, seen, err := c.find("describe", id)
	if err = call.end(err); err != nil {
		return cloud.Machine{}, err
	}
	return seen, nil
}

// find gives a machine of which there is something on the host.
func (c *Cloud) find(op string, id cloud.MachineID) (*machine, cloud.Machine, error) {
	c.mu.Lock()
	m, ok := c.machines[id]
	c.mu.Unlock()
	if ok {
		if seen, ok := m.state(); ok {
			return m, seen, nil
		}
	}
	return nil, cloud.Machine{}, c.unknown(op, id)
}

// List gives all machines, the oldest first.
func (c *Cloud) List(ctx context.Context) ([]cloud.Machine, error) {
	_, call, err := c.begin(ctx, "list")
	if err != nil {
		return nil, err
	}
	list := c.list()
	if call.fault.Empty {
		list = []cloud.Machine{}
	}
	list = c.haunt(list, call.fault.Late, call.fault.Ghosts)
	if err := call.end(nil); err != nil {
		return nil, err
	}
	return list, nil
}

func (c *Cloud) list() []cloud.Machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []cloud.Machine{}
	for _, m := range c.machines {
		if seen, ok := m.state(); ok && m.now.Load().Deployment == c.config.Deployment {
			list = append(list, seen)
		}
	}
	slices.SortFunc(list, func(a, b cloud.Machine) int {
		return cmp.Or(a.Launched.Compare(b.Launched), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Console gives what a machine printed so far.
func (c *Cloud) Console(ctx context.Context, id cloud.MachineID) (io.ReadCloser, error) {
	_, call, err := c.begin(ctx, "console")
	if err != nil {
		return nil, err
	}
	text, err := c.console(id)
	if err = call.end(err); err != nil {
		return nil, err
	}
	return text, nil
}

// printed is a part of a file.
type printed struct {
	io.Reader
	io.Closer
}

func (c *Cloud) console(id cloud.MachineID) (io.ReadCloser, error) {
	if _, _, err := c.find("console", id); err != nil {
		return nil, err
	}
	f, err := os.Open(c.at.console(id))
	if os.IsNotExist(err) {
		return nil, c.unknown("console", id) // it is being made or removed
	}
	if err != nil {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	return printed{io.LimitReader(f, info.Size()), f}, nil
}

// haunt changes a list as the schedule wants: young machines are missing, terminated ones are still there.
func (c *Cloud) haunt(list []cloud.Machine, late, ghosts time.Duration) []cloud.Machine {
	list = slices.DeleteFunc(list, func(m cloud.Machine) bool { return now().Sub(m.Launched) < late })
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.ghosts {
		if now().Sub(g.since) < ghosts {
			list = append(list, g.machine)
		}
	}
	return list
}
