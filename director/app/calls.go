package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/store"
	"conpaas/director/store/life"
	"conpaas/director/userdata"
)

// calls are the calls to clouds for one application that are under way, at most one per node and one per volume. Each records its
// result itself and wakes the worker.
type calls struct {
	w     *worker
	group sync.WaitGroup

	mu     sync.Mutex
	busy   map[string]bool // ids of nodes and volumes
	pauses map[string]pause
}

// pause is how long a node or a volume waits before its cloud is called again after an error.
type pause struct {
	until time.Time
	last  time.Duration
}

func newCalls(w *worker) *calls {
	return &calls{w: w, busy: make(map[string]bool), pauses: make(map[string]pause)}
}

func (c *calls) wait() { c.group.Wait() }

// machines makes the calls to clouds that the nodes' states ask for.
func (w *worker) machines(ctx context.Context, s *snapshot, _ observed, next *deadline) error {
	for _, n := range s.nodes {
		switch n.State {
		case api.NodeWanted:
			if !w.calls.free(string(n.ID), next) {
				continue
			}
			given := store.NodeChange{CodeVersion: w.d.code.Pin().Version, Trust: w.d.trust.Load().name}
			w.step(n.ID, life.NodeLaunch, given)
		case api.NodeCreating:
			w.calls.do(n, next, w.calls.launch)
		case api.NodeBooting, api.NodeJoined, api.NodeReady: // a fast one is ready before its address is known
			w.bootLimit(ctx, n, next)
			if !n.Address.IsValid() || n.Machine == "" {
				w.calls.do(n, next, w.calls.locate)
			}
		case api.NodeDeleting:
			w.calls.do(n, next, w.calls.terminate)
		}
	}
	return nil
}

// bootLimit gives a machine up that does not join. One that has joined is heard of or falls silent; what keeps it from being
// ready is in its reason.
func (w *worker) bootLimit(ctx context.Context, n store.Node, next *deadline) {
	if n.State != api.NodeBooting {
		return
	}
	limit := w.patience.waiting("boot of "+n.MachineToken(), next.now).Add(w.d.config.Timing.Boot)
	if next.now.Before(limit) {
		next.at(limit)
		return
	}
	reason := fmt.Sprintf("it did not join within %v", w.d.config.Timing.Boot)
	if tail := w.d.consoleTail(ctx, n); tail != "" {
		reason += "; its console ends with: " + tail
	}
	w.step(n.ID, life.NodeGiveUp, store.NodeChange{Reason: reason})
}

// free tells whether its cloud may be called for a node or a volume now.
func (c *calls) free(id string, next *deadline) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[id] {
		return false
	}
	if p := c.pauses[id]; next.now.Before(p.until) {
		next.at(p.until)
		return false
	}
	return true
}

// underWay tells whether the node's cloud is being called for it.
func (c *calls) underWay(id api.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy[string(id)]
}

// do runs f for the node in a goroutine of its own, unless a call for it is under way or it has to wait.
func (c *calls) do(n store.Node, next *deadline, f func(ctx context.Context, p *place, n store.Node) error) {
	c.begin(string(n.ID), string(n.State), next, func() error { return c.run(n, f) })
}

// begin runs f for a node or a volume in a goroutine of its own, unless a call for it is under way or it has to wait.
func (c *calls) begin(id, state string, next *deadline, f func() error) {
	if !c.free(id, next) {
		return
	}
	c.mu.Lock()
	c.busy[id] = true
	c.mu.Unlock()
	c.group.Go(func() {
		err := f()
		c.mu.Lock()
		delete(c.busy, id)
		if err == nil {
			delete(c.pauses, id)
		} else {
			last := min(max(2*c.pauses[id].last, 500*time.Millisecond), time.Minute)
			c.pauses[id] = pause{until: time.Now().Add(last), last: last}
		}
		c.mu.Unlock()
		if err != nil && c.w.ctx.Err() == nil {
			c.w.log.Warn("a call to the cloud will be repeated", "of", id, "state", state, "err", err)
		}
		c.w.kick()
	})
}

func (c *calls) run(n store.Node, f func(ctx context.Context, p *place, n store.Node) error) error {
	p, ok := c.w.d.places[n.Cloud]
	if !ok {
		return fmt.Errorf("cloud %q of node %s is not configured any more; restore its section in the configuration", n.Cloud, n.ID)
	}
	// The round that asks for this call may have read the node before the last call recorded its result.
	now, err := c.w.d.node(c.w.ctx, n.ID)
	if notFound(err) || err == nil && (now.State != n.State || now.Attempt != n.Attempt) {
		return nil
	}
	if err != nil {
		return err
	}
	return f(c.w.ctx, p, now)
}

// launch asks for the machine of a node that is creating. The token makes it safe to ask again after anything.
func (c *calls) launch(ctx context.Context, p *place, n store.Node) error {
	d := c.w.d
	script, err := d.userData(p, n)
	if err != nil {
		return err
	}
	image, err := d.currentImage(ctx, p.name)
	if err != nil {
		return err
	}
	var id cloud.MachineID
	err = p.call(ctx, func(ctx context.Context) (err error) {
		id, err = p.provider.Launch(ctx, cloud.Spec{
			Token: n.MachineToken(), Name: fmt.Sprintf("%s-a%s-%s", d.store.Installation().Name, n.Application, n.ID),
			UserData: script, Image: image.ID,
		})
		return err
	})
	kind := cloud.KindOf(err)
	switch {
	case err == nil:
		return c.launched(ctx, n, id)
	case ctx.Err() != nil, kind == cloud.KindTransient, kind == cloud.KindThrottled:
		return err // it may have happened: the same token again
	case kind == cloud.KindCapacity:
		if stepErr := c.record(ctx, n, life.NodeRetry, store.NodeChange{Reason: err.Error()}); stepErr != nil {
			return stepErr
		}
		return err // certainly no machine: ask again later
	}
	return c.w.refusedByCloud(ctx, n, err)
}

// launched records the machine's id; a machine that nobody wants any more is recorded too, and then removed.
func (c *calls) launched(ctx context.Context, n store.Node, id cloud.MachineID) error {
	err := c.record(ctx, n, life.NodeLaunched, store.NodeChange{Machine: string(id)})
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrExists) {
		c.w.log.Warn("the cloud gave a second machine for a node; it is removed", "node", n.ID, "machine", id, "err", err)
		return c.w.d.places[n.Cloud].call(ctx, func(ctx context.Context) error {
			return c.w.d.places[n.Cloud].provider.Terminate(ctx, id)
		})
	}
	return err
}

// record writes an event of the node; one that has been overtaken is no error.
func (c *calls) record(ctx context.Context, n store.Node, event life.NodeEvent, change store.NodeChange) error {
	err := c.w.d.store.Update(ctx, "node."+string(event), func(tx *store.Tx) error {
		_, err := tx.Step(n.ID, event, change)
		return err
	})
	if errors.Is(err, life.ErrTransition) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// locate learns a machine's addresses.
func (c *calls) locate(ctx context.Context, p *place, n store.Node) error {
	m, err := c.look(ctx, p, n)
	if err != nil || m.ID == "" {
		return err
	}
	if !m.Address.IsValid() {
		return fmt.Errorf("machine %s has no address yet", m.ID)
	}
	return c.w.d.store.Update(ctx, "node.located", func(tx *store.Tx) error {
		_, err := tx.UpdateNode(n.ID, store.NodeChange{Machine: string(m.ID), Address: m.Address, Public: m.Public, Runtime: m.Runtime})
		if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
}

// look gives the node's machine; when the cloud says that it is dead, that is recorded and the machine is zero.
func (c *calls) look(ctx context.Context, p *place, n store.Node) (m cloud.Machine, err error) {
	if n.Machine == "" { // it joined before the cloud's answer was recorded
		err = p.call(ctx, func(ctx context.Context) error {
			m, err = c.find(ctx, p, n.MachineToken())
			return err
		})
		return m, err
	}
	err = p.call(ctx, func(ctx context.Context) error {
		m, err = p.provider.Describe(ctx, cloud.MachineID(n.Machine))
		return err
	})
	switch {
	case cloud.KindOf(err) == cloud.KindNotFound:
		return cloud.Machine{}, c.vanished(ctx, n, "its cloud does not know its machine any more")
	case err != nil:
		return cloud.Machine{}, err
	case m.State == cloud.StateGone:
		return cloud.Machine{}, c.vanished(ctx, n, "its machine was removed")
	case m.State == cloud.StateStopped:
		return cloud.Machine{}, c.vanished(ctx, n, "its machine has stopped")
	}
	return m, nil
}

func (c *calls) vanished(ctx context.Context, n store.Node, reason string) error {
	return c.record(ctx, n, life.NodeVanished, store.NodeChange{Reason: reason})
}

// find looks a machine up by its token.
func (c *calls) find(ctx context.Context, p *place, token string) (cloud.Machine, error) {
	machines, err := p.provider.List(ctx)
	if err != nil {
		return cloud.Machine{}, err
	}
	for _, m := range machines {
		if m.Token == token {
			return m, nil
		}
	}
	return cloud.Machine{}, fmt.Errorf("the cloud does not list machine %s yet", token)
}

// describe asks the cloud whether a silent node's machine lives.
func (c *calls) describe(n store.Node) {
	c.do(n, &deadline{now: time.Now()}, func(ctx context.Context, p *place, n store.Node) error {
		_, err := c.look(ctx, p, n)
		return err
	})
}

// terminate removes the machine of a node that is being deleted. Where its id was never learnt, a launch may still
// have made one: it is looked up by its token.
func (c *calls) terminate(ctx context.Context, p *place, n store.Node) error {
	id := cloud.MachineID(n.Machine)
	err := p.call(ctx, func(ctx context.Context) error {
		if id == "" && n.Attempt > 0 {
			machines, err := p.provider.List(ctx)
			if err != nil {
				return err
			}
			for _, m := range machines {
				if m.Token == n.MachineToken() {
					id = m.ID
				}
			}
		}
		if id == "" {
			return nil
		}
		return p.provider.Terminate(ctx, id)
	})
	if err != nil {
		return err
	}
	err = c.w.d.store.Update(ctx, "node.deleted", func(tx *store.Tx) error {
		v, err := tx.Application(n.Application)
		if err != nil {
			return err
		}
		if err := tx.RevokeIdentity(c.w.d.identity(v, n).String(), "its machine is removed"); err != nil {
			return err
		}
		_, err = tx.Step(n.ID, life.NodeDeleted, store.NodeChange{})
		return err
	})
	if errors.Is(err, life.ErrTransition) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// userData is the first-boot script of the machine of a node's present attempt.
func (d *Director) userData(p *place, n store.Node) ([]byte, error) {
	kind := api.KindAgent
	if n.IsManager() {
		kind = api.KindManager
	}
	return userdata.Script(api.Bootstrap{
		Director: d.url.String(), Address: p.directorAddress(), CA: string(d.CA()),
		Deployment: d.store.Installation().Name, Kind: kind, Node: n.ID, Token: d.store.JoinToken(n),
		Issued: time.Now().UTC(), Overlay: p.overlayActive(), Code: d.code.Pin(),
	})
}

// consoleTail gives the last lines of a machine's console in one line, "" where there is none.
func (d *Director) consoleTail(ctx context.Context, n store.Node) string {
	text, err := d.console(ctx, n)
	if err != nil {
		return ""
	}
	defer text.Close()
	lines := lastLines(text, 3)
	return strings.Join(lines, " | ")
}
