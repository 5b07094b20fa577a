//go:build linux

package overlay

import (
	"context"
	"errors"
	"sync"
	"time"

	"conpaas/client/daemon"
	"conpaas/vpn/probe"
	"conpaas/vpn/wg"
)

// Run brings the network up and keeps it so, with its peers on paths that work, until ctx ends. The programs go on after
// it.
func (d *Device) Run(ctx context.Context) error {
	for {
		err := d.Up(ctx)
		if err == nil {
			break
		}
		d.log.Error("the overlay network is not up; trying again", daemon.KeyError, err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(upEvery):
		}
	}
	d.mu.Lock()
	device := d.device
	d.mu.Unlock()
	var all sync.WaitGroup
	all.Go(func() { d.watch(ctx) })
	all.Go(func() { d.choose(ctx, device) })
	all.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.programs() {
		p.release()
	}
	return errors.Join(context.Cause(ctx), device.Close())
}

// programs gives those that there are.
func (d *Device) programs() []*program {
	var list []*program
	if d.program != nil {
		list = append(list, d.program)
	}
	if d.relay != nil {
		list = append(list, d.relay.program)
	}
	return list
}

// watch starts the programs again when they end, and takes the status of the peers.
func (d *Device) watch(ctx context.Context) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.ended():
			d.log.Error("the overlay's process has ended; it is started again")
		case <-tick.C:
		}
		if err := d.Up(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("the overlay network is not as it should be", daemon.KeyError, err)
			select { // not in a busy loop
			case <-ctx.Done():
			case <-tick.C:
			}
		}
		d.refresh(time.Now())
	}
}

// ended gives what is closed when the overlay's process ends; nil where there is none.
func (d *Device) ended() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.program == nil || d.program.process == nil {
		return nil
	}
	return d.program.process.Done()
}

// choose keeps the peers on paths that work. It also answers the probes of the agents.
func (d *Device) choose(ctx context.Context, device *wg.Device) {
	for ctx.Err() == nil {
		prober, err := probe.Open(probe.Config{Log: d.log, PrivateKey: d.private, Port: d.cfg.Network.Port, Mark: wg.DefaultMark})
		if err != nil {
			d.log.Warn("the overlay's paths are chosen without probes", daemon.KeyError, err)
			err = d.selector.Run(ctx, d.log, device, nil)
		} else {
			err = errors.Join(d.selector.Run(ctx, d.log, device, prober), prober.Close())
		}
		if ctx.Err() != nil {
			return
		}
		d.log.Warn("the choice of the overlay's paths has ended and begins anew", daemon.KeyError, err)
		select {
		case <-ctx.Done():
		case <-time.After(statusEvery):
		}
	}
}
