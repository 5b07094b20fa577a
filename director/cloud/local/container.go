package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"conpaas/client/daemon"
	"conpaas/director/cloud"
	"conpaas/director/cloud/local/mount"
	"conpaas/director/cloud/local/netns"
	"conpaas/director/cloud/local/rootfs"
	"conpaas/director/cloud/local/runc"
	"conpaas/director/cloud/local/task"
)

// userData is where a machine has its program.
const userData = "/var/lib/conpaas/user-data"

// containers is the runtime container.
type containers struct {
	bridged
	runc   runc.Runtime
	images rootfs.Store

	preparing sync.Mutex // of images
}

// up brings the network up, and removes the images that no machine uses.
func (k *containers) up(_ context.Context, existing []record) error {
	if err := k.raise(existing); err != nil {
		return err
	}
	used := map[string]bool{}
	for _, r := range existing {
		used[r.Image], used[shared(r)] = true, true
	}
	return errors.Join(k.unshare(used), k.images.Tidy(used))
}

// unshare takes the shared images away that no machine uses.
func (k *containers) unshare(used map[string]bool) error {
	entries, err := os.ReadDir(k.cloud.at.lower())
	if err != nil {
		return fmt.Errorf("find the shared images: %w", err)
	}
	for _, e := range entries {
		if point := filepath.Join(k.cloud.at.lower(), e.Name()); !used[e.Name()] {
			if err := errors.Join(mount.Unmount(point), os.Remove(point)); err != nil {
				return fmt.Errorf("remove a shared image: %w", err)
			}
		}
	}
	return nil
}

// shared names the place where the image of a machine is shown with the machine's ids.
func shared(r record) string { return fmt.Sprintf("%s-%d", r.Image, r.FirstID) }

// overlay is the file system of a machine.
func (k *containers) overlay(r record) rootfs.Overlay {
	return rootfs.Overlay{
		Lower: filepath.Join(k.cloud.at.lower(), shared(r)), Dir: k.cloud.at.machine(r.ID), Point: k.cloud.at.root(r.ID),
		IDs: rootfs.Range{First: r.FirstID, Size: k.cloud.set.ids.Size},
	}
}

// image prepares the image of a machine: for a new machine the one that it is launched from, or the configured one.
func (k *containers) image(ctx context.Context, r record) (record, error) {
	k.preparing.Lock()
	defer k.preparing.Unlock()
	image := rootfs.Image{Digest: r.Image, Dir: filepath.Join(k.cloud.at.images(), r.Image)}
	if _, err := os.Stat(image.Dir); r.Image == "" || err != nil {
		now, err := k.source(ctx, r)
		if err != nil {
			return r, err
		}
		if r.Image != "" && r.Image != now.Digest {
			return r, fmt.Errorf("%w: image %s of the machine is gone, and ROOTFS is another one", rootfs.ErrImage, r.Image)
		}
		image = now
	}
	r.Image = image.Digest
	return r, image.Share(ctx, filepath.Join(k.cloud.at.lower(), shared(r)), rootfs.Range{First: r.FirstID, Size: k.cloud.set.ids.Size})
}

// source unpacks what a machine is launched from.
func (k *containers) source(ctx context.Context, r record) (rootfs.Image, error) {
	if r.Published == "" {
		return k.images.Image(ctx, k.cloud.set.rootfs)
	}
	i, file, err := k.cloud.published.Find(r.Published)
	if err != nil {
		return rootfs.Image{}, err
	}
	return k.images.Known(ctx, file, i.SHA256)
}

// prepare unpacks the configured image. When it cannot, Launch tries again and says why.
func (k *containers) prepare(ctx context.Context) {
	k.preparing.Lock()
	defer k.preparing.Unlock()
	if _, err := k.images.Image(ctx, k.cloud.set.rootfs); err != nil && ctx.Err() == nil {
		k.cloud.config.Log.Warn("the image of machines cannot be used", daemon.KeyError, err)
	}
}

// build makes the root file system, the container with its first process waiting, and its network.
func (k *containers) build(ctx context.Context, r record, program []byte) (record, error) {
	r, err := k.image(ctx, r)
	if err != nil {
		return r, err
	}
	k.cloud.place("launch:shared")
	o := k.overlay(r)
	if program != nil {
		if err := k.files(o, r, program); err != nil {
			return r, err
		}
		k.cloud.place("launch:files")
	}
	if err := o.Mount(); err != nil {
		return r, err
	}
	k.cloud.place("launch:mounted")
	bundle := k.cloud.at.machine(r.ID)
	config := runc.Config{
		Root: o.Point, TUN: k.cloud.at.tun, Code: k.cloud.config.Code, Hostname: r.Hostname, Args: []string{"/bin/sh", userData},
		Env:    []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "container=conpaas"},
		Cgroup: k.cloud.mode.cgroup(k.cloud.at.group(r.ID)), FirstID: r.FirstID, IDs: k.cloud.set.ids.Size,
		MemoryMiB: int64(r.MemoryMiB), LimitSwap: k.cloud.groups.CountsSwap(), CPUs: int64(r.CPUs), Processes: int64(k.cloud.set.processes),
	}
	if err := errors.Join(config.Write(bundle), k.runc.Forget(string(r.ID))); err != nil {
		return r, err
	}
	console, err := k.console(r)
	if err != nil {
		return r, err
	}
	defer console.Close()
	k.cloud.place("launch:configured")
	r.life = life{HostBoot: k.cloud.hostRun}
	if r.life.Task, err = k.runc.Create(ctx, string(r.ID), bundle, console); err != nil {
		return r, err
	}
	k.cloud.place("launch:created")
	return r, k.connect(r)
}

// files writes what makes a machine itself. There are no name servers: an unreachable one costs seconds at each name.
func (k *containers) files(o rootfs.Overlay, r record, program []byte) error {
	id := sha256.Sum256([]byte(r.ID))
	for _, f := range []struct {
		name, content string
		mode          os.FileMode
	}{
		{"/etc/hostname", r.Hostname + "\n", 0o644},
		{"/etc/hosts", fmt.Sprintf("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n%s %s\n", r.Address, r.Hostname), 0o644},
		{"/etc/resolv.conf", "# This cloud has no name servers.\n", 0o644},
		{"/etc/machine-id", hex.EncodeToString(id[:16]) + "\n", 0o444},
		{userData, string(program), 0o600},
	} {
		if err := o.Write(f.name, []byte(f.content), f.mode); err != nil {
			return err
		}
	}
	return nil
}

// console opens the file that gets what the machine prints. It is the machine's, so that programs can open
// /dev/stdout.
func (k *containers) console(r record) (*os.File, error) {
	f, err := openConsole(k.cloud.at.console(r.ID))
	if err != nil {
		return nil, err
	}
	if err := f.Chown(int(r.FirstID), int(r.FirstID)); err != nil {
		return nil, errors.Join(fmt.Errorf("open the console: %w", err), f.Close())
	}
	return f, nil
}

// openConsole opens a console for appending, so that it can be shortened while a machine writes.
func openConsole(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	return f, nil
}

// start lets the first process run user-data, where it still waits.
func (k *containers) start(ctx context.Context, r record) (task.Task, error) {
	if !r.life.Task.Alive() || !k.runc.Created(string(r.ID)) {
		return r.life.Task, nil
	}
	console, err := k.console(r)
	if err != nil {
		return r.life.Task, err
	}
	defer console.Close()
	return r.life.Task, k.runc.Start(ctx, string(r.ID), k.cloud.at.machine(r.ID), console)
}

func (k *containers) connect(r record) error {
	machine, err := netns.OfProcess(r.life.Task.PID)
	if err != nil {
		return fmt.Errorf("find the network of machine %s: %w", r.ID, err)
	}
	defer machine.Close()
	return k.net.Connect(machine, port(r.Address))
}

// release ends the commands of runc that a former director may have left running.
func (k *containers) release(ctx context.Context, id cloud.MachineID) error {
	return k.runc.Stop(ctx, string(id))
}

func (k *containers) remove(r record) error {
	if err := k.disconnect(r); err != nil {
		return err
	}
	return errors.Join(rootfs.Overlay{Point: k.cloud.at.root(r.ID)}.Unmount(), k.runc.Forget(string(r.ID)))
}
