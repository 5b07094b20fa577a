package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/cloud"
	"conpaas/director/store"
)

// sweep looks at a cloud's list again and again. A machine that nobody knows is removed after a grace period; a node
// whose machine is not listed is looked at by its worker, who asks the cloud about just that one: a list is never
// read as "gone".
func (d *Director) sweep(ctx context.Context, p *place) {
	strays := make(map[cloud.MachineID]time.Time) // first seen
	tick := time.NewTicker(d.config.Timing.Sweep)
	defer tick.Stop()
	for {
		if err := d.sweepOnce(ctx, p, strays); err != nil && ctx.Err() == nil {
			d.log.Warn("the cloud could not be swept", "cloud", p.name, daemon.KeyError, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *Director) sweepOnce(ctx context.Context, p *place, strays map[cloud.MachineID]time.Time) error {
	var nodes []store.Node
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		nodes, err = r.NodesOnCloud(p.name)
		return err
	})
	if err != nil {
		return err
	}
	var machines []cloud.Machine
	err = p.call(ctx, func(ctx context.Context) (err error) {
		machines, err = p.provider.List(ctx)
		return err
	})
	if err != nil {
		return err
	}
	listed := make(map[cloud.MachineID]cloud.Machine, len(machines))
	for _, m := range machines {
		listed[m.ID] = m
	}
	for _, n := range nodes {
		m, ok := listed[cloud.MachineID(n.Machine)]
		if n.Machine != "" && acts(n) && (!ok || m.State != cloud.StateRunning && m.State != cloud.StatePending) {
			if w := d.worker(n.Application); w != nil {
				w.calls.describe(n)
			}
		}
	}
	wanted := make(map[string]store.Node, len(nodes))
	for _, n := range nodes {
		wanted[n.MachineToken()] = n
	}
	unknown := slices.DeleteFunc(machines, func(m cloud.Machine) bool {
		n, ok := wanted[m.Token]
		return ok && n.Machine == string(m.ID)
	})
	return d.removeStrays(ctx, p, unknown, strays)
}

// removeStrays removes those machines of this deployment that belong to no node, once they are older than the grace
// period in the eyes of this director. machines are the ones of which that is not certain.
func (d *Director) removeStrays(ctx context.Context, p *place, machines []cloud.Machine, strays map[cloud.MachineID]time.Time) error {
	now := time.Now()
	found := make(map[cloud.MachineID]bool)
	for _, m := range machines {
		stray, err := d.isStray(ctx, p, m)
		if err != nil {
			return err
		}
		if !stray {
			continue
		}
		found[m.ID] = true
		first, known := strays[m.ID]
		if !known {
			strays[m.ID] = now
			d.log.Warn("a machine belongs to no node; it will be removed", "cloud", p.name, "machine", m.ID, "token", m.Token, "launched", m.Launched)
			continue
		}
		if now.Sub(first) < d.config.Timing.Stray {
			continue
		}
		if err := p.call(ctx, func(ctx context.Context) error { return p.provider.Terminate(ctx, m.ID) }); err != nil {
			return fmt.Errorf("remove stray machine %s: %w", m.ID, err)
		}
		d.log.Warn("a machine that belonged to no node is removed", "cloud", p.name, "machine", m.ID, "token", m.Token)
	}
	for id := range strays {
		if !found[id] {
			delete(strays, id)
		}
	}
	return nil
}

// isStray asks the database anew: the node may have been recorded after the nodes were read.
func (d *Director) isStray(ctx context.Context, p *place, m cloud.Machine) (stray bool, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		n, err := r.NodeByMachineToken(m.Token)
		switch {
		case notFound(err):
			stray = true
			return nil
		case err != nil:
			return err
		}
		stray = n.Cloud != p.name || n.State == api.NodeGone || n.Machine != "" && n.Machine != string(m.ID)
		return nil
	})
	return stray, err
}
