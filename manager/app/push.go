package app

import (
	"context"
	"time"

	"conpaas/client/agent"
	"conpaas/client/api"
	"conpaas/client/daemon"
)

// start makes a call to an agent in a goroutine of its own. Only so many run at a time; those to agents whose
// last call went wrong have places of their own, so that they keep nobody waiting. It is called by the loop.
func (w *Worker) start(ctx context.Context, c call) {
	places := w.fast
	if c.slow {
		places = w.slow
	}
	w.work.Go(func() {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-ctx.Done():
			return
		}
		err := w.call(ctx, c)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.log.Warn("an agent does not take its spec", daemon.KeyNode, c.node, daemon.KeyError, err)
		}
		w.post(func() { w.core.called(time.Now(), c, err) })
	})
}

func (w *Worker) call(ctx context.Context, c call) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timing.Call)
	defer cancel()
	client := agent.New(w.hub.Client(string(c.node)))
	if c.trust != "" {
		return client.PutTrust(ctx, c.epoch, api.Trust{Trust: c.trust})
	}
	if c.names != nil {
		return client.PutNames(ctx, c.epoch, *c.names)
	}
	if c.spec != nil {
		w.log.Debug("sending a spec", daemon.KeyNode, c.node, "revision", c.spec.Revision)
		return client.PutSpec(ctx, c.epoch, *c.spec)
	}
	return client.PatchPeers(ctx, c.epoch, *c.delta)
}
