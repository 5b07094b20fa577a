package local

import (
	"context"
	"errors"
	"fmt"
	"os"

	"conpaas/director/cloud/local/forward"
	"conpaas/director/cloud/local/mount"
)

// Clean ends every machine and removes everything of the cloud from the host, whatever was killed before: processes,
// control groups, mounts, the network namespace with the bridge and the firewall, and files. The cloud's directory
// stays. It needs nothing but the kernel: neither runc nor the image. No director may use the cloud; this one's use
// ends.
func (c *Cloud) Clean(ctx context.Context) ([]string, error) {
	if err := c.usable("clean"); err != nil {
		return nil, err
	}
	if err := c.Close(); err != nil {
		return nil, c.form("clean", err)
	}
	_, err := os.Stat(c.at.dir)
	exists := err == nil
	if exists {
		if err := c.acquire(); err != nil {
			return nil, c.form("clean", err)
		}
	}
	report, err := c.clean(ctx)
	if exists && err == nil {
		err = os.Remove(c.at.lock())
	}
	return report, c.form("clean", errors.Join(err, c.release()))
}

func (c *Cloud) clean(ctx context.Context) ([]string, error) {
	var report []string
	said := func(what string, things ...string) {
		for _, t := range things {
			report = append(report, what+" "+t)
		}
	}
	if err := c.kind.release(ctx, ""); err != nil {
		return report, err
	}
	if err := c.hold(); err != nil {
		return report, err
	}
	pids, err := c.held.Processes(c.at.cgroup)
	if err != nil {
		return report, err
	}
	if err := c.held.Kill(ctx, c.at.cgroup); err != nil {
		return report, err
	}
	for _, pid := range pids {
		said("ended process", fmt.Sprint(pid))
	}
	c.place("clean:killed")
	forwarder, err := forward.Stop(ctx, c.at.forward())
	if err != nil {
		return report, err
	}
	if forwarder != 0 {
		said("ended process", fmt.Sprint(forwarder))
	}
	c.place("clean:unpublished")
	for _, dir := range []string{c.at.run, c.at.dir} {
		points, err := mount.Clear(dir)
		said("unmounted", points...)
		if err != nil {
			return report, err
		}
		c.place("clean:unmounted")
	}
	dirs, err := c.held.Remove(c.at.cgroup)
	said("removed control group", dirs...)
	if err != nil {
		return report, err
	}
	c.place("clean:ungrouped")
	for _, path := range c.at.own() {
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return report, fmt.Errorf("remove %s: %w", path, err)
		}
		said("removed", path)
	}
	return report, nil
}
