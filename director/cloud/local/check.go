package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
	"conpaas/director/cloud/local/bridge"
	"conpaas/director/cloud/local/cgroup"
	"conpaas/director/cloud/local/rootfs"
	"conpaas/director/cloud/local/runc"
)

// Check looks for everything that machines need of this host. It changes nothing.
func (c *Cloud) Check(ctx context.Context) []api.Check {
	checks := c.mode.check(ctx, c)
	if c.mode.wrong == "" {
		checks = append(checks, c.kind.check(ctx)...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lacking = nil
	for _, k := range checks {
		if !k.OK {
			c.lacking = append(c.lacking, k)
		}
	}
	if c.mode.wrong == "" { // a host without volumes has machines all the same
		checks = append(checks, c.checkVolumes())
	}
	return checks
}

// look is Check for the log.
func (c *Cloud) look(ctx context.Context) {
	for _, k := range c.Check(ctx) {
		if !k.OK {
			c.config.Log.Warn("machines cannot be launched", "check", k.Name, "detail", k.Detail)
		}
	}
}

// able refuses to launch machines while the host lacks something. Somebody may have mended it, so what was lacking is
// looked for again.
func (c *Cloud) able(ctx context.Context) error {
	c.mu.Lock()
	lacking := len(c.lacking)
	c.mu.Unlock()
	if lacking == 0 {
		return nil
	}
	c.Check(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	details := make([]string, 0, len(c.lacking))
	for _, k := range c.lacking {
		details = append(details, k.Name+": "+k.Detail)
	}
	if len(details) == 0 {
		return nil
	}
	return c.wrong("launch", "%s", strings.Join(details, "; "))
}

// verdict makes a check of an attempt.
func verdict(name string, attempt func() error, good string) api.Check {
	if err := attempt(); err != nil {
		return api.Check{Name: name, Detail: err.Error()}
	}
	return api.Check{Name: name, OK: true, Detail: good}
}

// checkGroups looks for the controllers that limit machines.
func (c *Cloud) checkGroups() error {
	found, err := cgroup.Find()
	if err != nil || c.set.runtime != RuntimeContainer {
		return err
	}
	missing, err := found.Missing("cpu", "memory", "pids", "devices")
	if err == nil && len(missing) > 0 {
		return fmt.Errorf("the host has no control group of %s; boot it with cgroup_enable=memory or systemd.unified_cgroup_hierarchy=1", strings.Join(missing, ", "))
	}
	return err
}

func (k *processes) check(context.Context) []api.Check {
	return []api.Check{{Name: "runtime", OK: true, Detail: "process: for tests and benchmarks only; machines are not kept apart, and the overlay is planned but not brought up"}}
}

func (k *containers) check(ctx context.Context) []api.Check {
	version := ""
	dir := k.cloud.at.dir
	for _, err := os.Stat(dir); err != nil && dir != "/"; _, err = os.Stat(dir) {
		dir = filepath.Dir(dir) // it is not made before Start
	}
	checks := []api.Check{
		verdict("runc", func() (err error) {
			_, version, err = runc.Program(ctx)
			return err
		}, "installed"),
		verdict("network", bridge.Try, "namespaces, bridges and nftables work"),
		verdict("overlay file system", overlayKnown, "known to the kernel"),
		verdict("shared image", func() error {
			where := k.cloud.set.rootfs
			if info, err := os.Stat(where); err != nil || !info.IsDir() {
				where = dir // images are unpacked there
			}
			return rootfs.Mappable(ctx, where, k.cloud.set.ids)
		}, "its file system can be shown to machines"),
		verdict("TUN device", func() error { return k.cloud.mode.checkTUN(dir) }, "machines can open it"),
		verdict("ROOTFS", k.checkRootfs, k.cloud.set.rootfs),
		k.checkSubnet(),
	}
	if checks[0].OK {
		checks[0].Detail = version
	}
	return checks
}

// checkSubnet looks for a network of the host in the place of the cloud's.
func (k *bridged) checkSubnet() api.Check {
	return verdict("SUBNET", func() error {
		if err := apart(k.cloud.set.subnet); err != nil && !k.cloud.inUse() {
			return err
		}
		return nil
	}, fmt.Sprintf("%s is inside the cloud's own namespace", k.cloud.set.subnet))
}

// inUse tells whether the cloud has machines, whose network cannot be changed any more.
func (c *Cloud) inUse() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.machines) > 0
}

// overlayKnown asks the kernel for the overlay file system, which loads its module.
func overlayKnown() error {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("the kernel has no overlay file system; load it by modprobe overlay: %w", err)
	}
	return unix.Close(fd)
}

// checkTUN looks for the device, and for a file system that forbids devices where the cloud has its node of it.
func checkTUN(dir string) error {
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return fmt.Errorf("%w; load it by modprobe tun, and for every boot: echo tun > /etc/modules-load.d/tun.conf", err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	if fs.Flags&unix.ST_NODEV != 0 {
		return fmt.Errorf("%s is on a file system mounted with nodev; mount it without, or choose another state directory", dir)
	}
	return nil
}

func (k *containers) checkRootfs() error {
	_, err := os.Stat(k.cloud.set.rootfs)
	if published, listed := k.cloud.published.List(); err == nil || listed == nil && len(published) > 0 {
		return nil
	}
	return fmt.Errorf("%w; make an image with cpsimage build, and publish it or set ROOTFS to its tar file", err)
}
