package local

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon"
	"conpaas/director/cloud"
	"conpaas/director/cloud/local/forward"
)

const (
	forwardPause = 500 * time.Millisecond // between two starts of the forwarder
	forwardLook  = time.Minute            // between two looks at ports that could not be published
)

// Publish makes ports of a machine reachable on 127.0.0.1 of the host (for processes: on their own addresses).
func (c *Cloud) Publish(ctx context.Context, id cloud.MachineID, ports []uint16) (map[uint16]string, error) {
	ctx, call, err := c.begin(ctx, "publish")
	if err != nil {
		return nil, err
	}
	at, err := c.publish(ctx, id, ports)
	if err = call.end(err); err != nil {
		return nil, err
	}
	return at, nil
}

func (c *Cloud) publish(ctx context.Context, id cloud.MachineID, ports []uint16) (map[uint16]string, error) {
	const op = "publish"
	if len(ports) > maxPublish || slices.Contains(ports, 0) {
		return nil, c.wrong(op, "%d ports cannot be published; at most %d, from 1", len(ports), maxPublish)
	}
	m, _, err := c.find(op, id)
	if err != nil {
		return nil, err
	}
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.unlock()
	if r := m.now.Load(); r == nil || r.ending {
		return nil, c.unknown(op, id)
	}
	at := map[uint16]string{}
	for _, p := range ports {
		if at[p], err = c.kind.publish(ctx, m, p); err != nil {
			return nil, err
		}
	}
	return at, nil
}

// publishing remembers the ports of the host that are given to ports of machines, and has the forwarder serve them.
type publishing struct {
	first, last uint16
	changed     chan struct{} // the forwarder is another process, or none

	mu        sync.Mutex
	given     []forward.Publication
	next      uint16
	forwarder *forward.Own // nil: only the list is kept, until all machines are known
}

// open reads what a former director gave. The search for free ports begins at a place that depends on the cloud, so that
// several clouds on a host seldom meet.
func (p *publishing) open(c *Cloud) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.first, p.last, p.changed = c.set.publish[0], c.set.publish[1], make(chan struct{}, 1)
	part := loopbackPart(c.at.dir).Addr().As4()
	p.next = p.first + uint16((int(part[1])<<8|int(part[2]))*7%(int(p.last-p.first)+1))
	p.given, err = forward.Read(c.at.forward())
	return err
}

// begin takes the forwarder over, without the ports of machines that are no more. A port that cannot be published is no
// error: it is logged, and told by publish.
func (p *publishing) begin(ctx context.Context, f *forward.Own, exists func(cloud.MachineID) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forwarder = f
	p.given = slices.DeleteFunc(p.given, func(g forward.Publication) bool { return !exists(cloud.MachineID(g.Owner)) })
	p.look(ctx)
}

// look has the forwarder be as it should, and logs what is not.
func (p *publishing) look(ctx context.Context) {
	failed, err := p.serve(ctx)
	if err != nil && ctx.Err() == nil {
		p.forwarder.Log.Error("ports of machines are not published", daemon.KeyError, err)
	}
	for _, g := range p.given {
		if code := failed[g.Port]; code != 0 {
			p.forwarder.Log.Warn("a port of a machine is not published", "machine", g.Owner, daemon.KeyError, taken(g, code))
		}
	}
}

// serve has the forwarder serve what is given. The caller has the lock.
func (p *publishing) serve(ctx context.Context) (forward.Failures, error) {
	before := p.forwarder.Ended()
	failed, err := p.forwarder.Serve(ctx, p.given)
	if p.forwarder.Ended() != before {
		select {
		case p.changed <- struct{}{}:
		default: // it is already said
		}
	}
	return failed, err
}

// keep starts a forwarder that has ended again, until ctx ends.
func (p *publishing) keep(ctx context.Context) {
	for ctx.Err() == nil {
		p.mu.Lock()
		ended := p.forwarder.Ended()
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
			continue
		case <-ended:
		case <-time.After(forwardLook):
		}
		p.mu.Lock()
		p.look(ctx)
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(forwardPause):
		}
	}
}

// end lets go of the forwarder, which goes on.
func (p *publishing) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forwarder != nil {
		p.forwarder.Release()
		p.forwarder = nil
	}
}

// publish gives a port of a machine a port of the host, the same one at every call.
func (p *publishing) publish(ctx context.Context, id cloud.MachineID, target netip.AddrPort) (uint16, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.given, func(g forward.Publication) bool { return g.Owner == string(id) && g.Target == target })
	if i >= 0 {
		failed, err := p.serve(ctx)
		if code := failed[p.given[i].Port]; err == nil && code != 0 {
			err = taken(p.given[i], code)
		}
		return p.given[i].Port, err
	}
	has := map[uint16]bool{}
	for _, g := range p.given {
		has[g.Port] = true
	}
	for range int(p.last-p.first) + 1 {
		g := forward.Publication{Port: p.next, Owner: string(id), Target: target}
		if p.next++; p.next > p.last || p.next < p.first {
			p.next = p.first
		}
		if has[g.Port] {
			continue
		}
		others := slices.Clip(p.given)
		p.given = append(others, g)
		failed, err := p.serve(ctx)
		code := failed[g.Port]
		if err != nil || code == 0 {
			return g.Port, err
		}
		if p.given = others; !errors.Is(code, unix.EADDRINUSE) {
			_, err = p.serve(ctx)
			return 0, errors.Join(taken(g, code), err)
		}
	}
	_, err := p.serve(ctx)
	return 0, errors.Join(fmt.Errorf("publish port %d of machine %s: all of PUBLISH_PORTS %d-%d are taken: %w", target.Port(), id, p.first, p.last, unix.EAGAIN), err)
}

// taken tells why a port of the host cannot be had.
func taken(g forward.Publication, code unix.Errno) error {
	if code == unix.EADDRINUSE {
		return fmt.Errorf("publish port %d of machine %s: port %d of 127.0.0.1, which was given to it, is taken by another program; end that: %w", g.Target.Port(), g.Owner, g.Port, code)
	}
	return fmt.Errorf("publish port %d of machine %s: listen on port %d of 127.0.0.1: %w", g.Target.Port(), g.Owner, g.Port, code)
}

// unpublish takes the ports of a machine back.
func (p *publishing) unpublish(ctx context.Context, id cloud.MachineID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.given
	p.given = slices.DeleteFunc(slices.Clone(before), func(g forward.Publication) bool { return g.Owner == string(id) })
	if p.forwarder == nil || len(p.given) == len(before) {
		return nil
	}
	_, err := p.serve(ctx)
	if err != nil {
		p.given = before // a repeated call goes on
	}
	return err
}
