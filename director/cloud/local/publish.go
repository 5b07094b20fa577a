package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon"
	"conpaas/director/cloud"
	"conpaas/director/cloud/local/forward"
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
		if at[p], err = c.kind.publish(m, p); err != nil {
			return nil, err
		}
	}
	return at, nil
}

// republish brings back the forwarders of a former director. A port that somebody has taken meanwhile is logged here and
// told by Publish.
func (c *Cloud) republish() error {
	for id, ports := range c.kind.published() {
		c.mu.Lock()
		m, ok := c.machines[id]
		c.mu.Unlock()
		if !ok {
			if err := c.kind.unpublish(id); err != nil {
				return err
			}
			continue
		}
		for _, p := range ports {
			if _, err := c.kind.publish(m, p); err != nil {
				c.trouble(id, err)
			}
		}
	}
	return nil
}

// publishing remembers the ports of the host that are given to ports of machines.
type publishing struct {
	path        string
	first, last uint16

	mu    sync.Mutex
	given map[cloud.MachineID]map[uint16]uint16 // machine, its port, the host's port
	next  uint16
}

// open reads what a former director gave. The search for free ports begins at a place that depends on the cloud, so that
// several clouds on a host seldom meet.
func (p *publishing) open(c *Cloud) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.path, p.first, p.last = c.at.ports(), c.set.publish[0], c.set.publish[1]
	p.given = map[cloud.MachineID]map[uint16]uint16{}
	part := loopbackPart(c.at.dir).Addr().As4()
	p.next = p.first + uint16((int(part[1])<<8|int(part[2]))*7%(int(p.last-p.first)+1))
	text, err := os.ReadFile(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.given)
	}
	if err != nil {
		return fmt.Errorf("read the published ports in %s (remove it, and machines get new ports): %w", p.path, err)
	}
	return nil
}

// listen listens on the host's port for a machine's port, on the same one at every call.
func (p *publishing) listen(id cloud.MachineID, port uint16) (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if host, ok := p.given[id][port]; ok {
		l, err := listenHost(host)
		if err != nil {
			return nil, fmt.Errorf("publish port %d of machine %s: port %d of 127.0.0.1, which was given to it, is taken by another program; end that: %w", port, id, host, err)
		}
		return l, nil
	}
	taken := map[uint16]bool{}
	for _, ports := range p.given {
		for host := range maps.Values(ports) {
			taken[host] = true
		}
	}
	for range int(p.last-p.first) + 1 {
		host := p.next
		if p.next++; p.next > p.last || p.next < p.first {
			p.next = p.first
		}
		if taken[host] {
			continue
		}
		l, err := listenHost(host)
		if errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("publish port %d of machine %s: %w", port, id, err)
		}
		if p.given[id] == nil {
			p.given[id] = map[uint16]uint16{}
		}
		p.given[id][port] = host
		if err := p.save(); err != nil {
			delete(p.given[id], port)
			return nil, errors.Join(err, l.Close())
		}
		return l, nil
	}
	return nil, fmt.Errorf("publish port %d of machine %s: all of PUBLISH_PORTS %d-%d are taken: %w", port, id, p.first, p.last, unix.EAGAIN)
}

func listenHost(port uint16) (net.Listener, error) {
	return net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
}

// forget takes the ports of a machine back.
func (p *publishing) forget(id cloud.MachineID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.given[id]; !ok {
		return nil
	}
	delete(p.given, id)
	return p.save()
}

// list gives the ports of all machines.
func (p *publishing) list() map[cloud.MachineID][]uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	ports := map[cloud.MachineID][]uint16{}
	for id, given := range p.given {
		ports[id] = slices.Sorted(maps.Keys(given))
	}
	return ports
}

func (p *publishing) save() error {
	text, err := json.Marshal(p.given)
	if err != nil {
		return fmt.Errorf("keep the published ports: %w", err)
	}
	if err := daemon.WriteFile(p.path, text, 0o600); err != nil {
		return fmt.Errorf("keep the published ports: %w", err)
	}
	return nil
}

// publish gives a port of a container its forwarder. The caller is busy with the machine, or is Start.
func (k *containers) publish(m *machine, port uint16) (string, error) {
	if f, ok := m.forwards[port]; ok {
		return f.Address().String(), nil
	}
	l, err := k.mapping.listen(m.id, port)
	if err != nil {
		return "", err
	}
	space, to := k.net.Namespace, netip.AddrPortFrom(m.now.Load().Address, port)
	f := forward.New(l, forward.Options{
		Dial: func(ctx context.Context) (*net.TCPConn, error) { return space.Dial(ctx, to) },
		Log:  k.cloud.config.Log.With("machine", string(m.id), "port", port),
	})
	m.forwards[port] = f
	return f.Address().String(), nil
}

func (k *containers) published() map[cloud.MachineID][]uint16 { return k.mapping.list() }

func (k *containers) unpublish(id cloud.MachineID) error { return k.mapping.forget(id) }
