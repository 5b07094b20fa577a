package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"conpaas/client/daemon"
	"conpaas/director/cloud/local/address"
	"conpaas/director/cloud/local/task"
)

// Start brings the cloud up and adopts what a former director left: machines that run go on, machines that were being
// made or terminated are removed, and after a restart of the host the machines are booted again.
func (c *Cloud) Start(ctx context.Context) error {
	c.mu.Lock()
	running := c.running
	c.mu.Unlock()
	if running {
		return nil
	}
	if err := c.start(ctx); err != nil {
		return c.form("start", errors.Join(err, c.Close()))
	}
	return nil
}

func (c *Cloud) start(ctx context.Context) error {
	if err := c.usable("start"); err != nil {
		return err
	}
	c.config.Log.Info("the local cloud starts", "isolation", c.Isolation())
	// Machines are children of the process that starts them; without this, nobody might reap those that outlive it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a child subreaper: %w", err)
	}
	for _, dir := range []string{c.at.dir, c.at.machines(), c.at.images(), c.at.lower(), c.at.runc()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the cloud's directory: %w", err)
		}
	}
	if err := c.acquire(); err != nil {
		return err
	}
	err := errors.Join(c.published.Tidy(), c.volumes.Tidy())
	if err != nil {
		return err
	}
	if c.hostRun, err = bootID(); err != nil {
		return err
	}
	c.hostRun += c.mode.epoch
	if err := c.hold(); err != nil {
		return err
	}
	records, err := c.found()
	if err != nil {
		return err
	}
	if err := c.network(records); err != nil {
		return err
	}
	c.place("start:found")
	if err := c.kind.up(ctx, records); err != nil {
		return err
	}
	c.place("start:up")
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	c.mu.Lock()
	c.end = end
	c.atEnd = func(f func()) func() bool { return context.AfterFunc(life, f) }
	c.mu.Unlock()
	if err := c.adopt(ctx, records); err != nil {
		return err
	}
	c.place("start:adopted")
	if at := c.DirectorAddress(); at != "" {
		if c.listener, err = c.kind.(interface {
			listen(context.Context, netip.AddrPort) (net.Listener, error)
		}).listen(ctx, netip.MustParseAddrPort(at)); err != nil {
			return fmt.Errorf("listen for machines on %s: %w", at, err)
		}
	}
	c.work.Go(func() { c.keepHouse(life) })
	c.work.Go(func() { c.kind.prepare(life) })
	c.work.Go(func() { c.kind.keep(life) })
	c.look(ctx)
	c.mu.Lock()
	c.running = true
	c.mu.Unlock()
	return nil
}

// acquire makes sure that no other process uses the cloud's directory.
func (c *Cloud) acquire() error {
	lock, err := os.OpenFile(c.at.lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock the cloud: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return c.wrong("start", "%s is in use by another process; stop that director first", c.at.dir)
	}
	c.lock = lock
	return nil
}

// network opens the pool of addresses. A network that is new here must not be one that the host reaches.
func (c *Cloud) network(records []record) error {
	pool, err := address.Open(c.at.addresses(), c.set.subnet, now)
	if err != nil {
		return c.wrong("start", "%v", err)
	}
	held := map[string]netip.Addr{}
	for _, r := range records {
		held[r.Token] = r.Address
		if !c.set.subnet.Contains(r.Address) {
			return c.wrong("start", "machine %s has the address %s, which is not in SUBNET %s; set it back, or clean the cloud", r.ID, r.Address, c.set.subnet)
		}
	}
	if len(records) == 0 && c.OverlayActive() {
		if err := apart(c.set.subnet); err != nil {
			return c.wrong("start", "%v", err)
		}
	}
	c.mu.Lock()
	c.pool = pool
	c.mu.Unlock()
	return pool.Settle(held)
}

// apart refuses a network that overlaps an address or a route of the host.
func apart(p netip.Prefix) error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list the host's routes: %w", err)
	}
	addresses, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list the host's addresses: %w", err)
	}
	var used []*net.IPNet
	for _, r := range routes {
		if r.Dst != nil {
			used = append(used, r.Dst)
		}
	}
	for _, a := range addresses {
		used = append(used, a.IPNet)
	}
	for _, u := range used {
		ip, ok := netip.AddrFromSlice(u.IP.To4())
		bits, _ := u.Mask.Size()
		if ok && bits > 0 && p.Overlaps(netip.PrefixFrom(ip, bits)) {
			return fmt.Errorf("SUBNET %s overlaps %s, which this host uses; choose another one", p, u)
		}
	}
	return nil
}

// Close ends the director's listener and the watchers. The machines and the forwarder go on.
func (c *Cloud) Close() error {
	c.mu.Lock()
	c.running = false
	end := c.end
	c.end = nil
	machines := c.all()
	c.mu.Unlock()
	if end != nil {
		end()
	}
	c.work.Wait()
	var errs []error
	for _, m := range machines {
		m.unwatch()
	}
	if c.listener != nil {
		if err := c.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
		c.listener = nil
	}
	errs = append(errs, c.kind.down())
	c.mu.Lock()
	clear(c.machines)
	clear(c.tokens)
	c.mu.Unlock()
	errs = append(errs, c.release())
	return errors.Join(errs...)
}

// release gives the cloud's directory free. Closing the file would not do: a process that is just being started may
// have it for a moment.
func (c *Cloud) release() error {
	if c.lock == nil {
		return nil
	}
	err := errors.Join(unix.Flock(int(c.lock.Fd()), unix.LOCK_UN), c.lock.Close())
	c.lock = nil
	return err
}

// all gives the machines; c.mu is held.
func (c *Cloud) all() []*machine {
	all := make([]*machine, 0, len(c.machines))
	for _, m := range c.machines {
		all = append(all, m)
	}
	return all
}

// watch notices the end of a machine, for the log and so that its dead process does not stay.
func (c *Cloud) watch(m *machine, t task.Task) {
	ctx, cancel := context.WithCancel(context.Background()) // of the machine's life; ended by Close or Terminate
	stop := c.atEnd(cancel)
	m.unwatch = func() { stop(); cancel() }
	c.work.Go(func() {
		defer stop()
		defer cancel()
		if err := t.Wait(ctx); err != nil {
			if ctx.Err() == nil {
				c.config.Log.Error("a machine cannot be watched", "machine", string(m.id), daemon.KeyError, err)
			}
			return
		}
		if r := m.now.Load(); r != nil && !r.ending {
			c.config.Log.Info("a machine stopped", "machine", string(m.id), "token", m.token, "address", r.Address.String())
		}
	})
}
