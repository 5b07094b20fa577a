package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/cloud"
	"conpaas/director/cloud/local/bridge"
	"conpaas/director/cloud/local/qemu"
	"conpaas/director/cloud/local/rootfs"
	"conpaas/director/cloud/local/task"
	"conpaas/director/cloud/local/volume"
)

// vms is the runtime vm: a machine is a process of qemu in a control group, with a disk of its own over a shared
// image and a port at the bridge. The process has no rights of the host's root, and an empty network.
type vms struct {
	bridged
	images    rootfs.Store
	preparing sync.Mutex // of images
	kvm       func() error
}

// newVMs makes the runtime; whether KVM works is tried once.
func newVMs(c *Cloud) *vms {
	return &vms{
		bridged: bridged{cloud: c}, images: rootfs.Store{Dir: c.at.images()},
		kvm: sync.OnceValue(func() error { return qemu.KVM(context.Background()) }), // it has a limit of its own
	}
}

// up brings the network up, and removes the images that no machine uses.
func (k *vms) up(_ context.Context, existing []record) error {
	used := map[string]bool{}
	for _, r := range existing {
		used[r.Image] = true
	}
	return errors.Join(k.raise(existing), k.images.Tidy(used))
}

// prepare copies the configured image. When it cannot, Launch tries again and says why.
func (k *vms) prepare(ctx context.Context) {
	if _, err := k.image(ctx, record{}); err != nil && ctx.Err() == nil {
		k.cloud.config.Log.Warn("the image of machines cannot be used", daemon.KeyError, err)
	}
}

// image gives the digest of what a machine is launched from, of which there is a copy.
func (k *vms) image(ctx context.Context, r record) (string, error) {
	k.preparing.Lock()
	defer k.preparing.Unlock()
	if r.Published == "" {
		return k.images.Disk(ctx, k.cloud.set.image)
	}
	_, file, err := k.cloud.published.Find(r.Published)
	if err != nil {
		return "", err
	}
	return k.images.Disk(ctx, file)
}

// build makes the machine's files and its emulator, which waits before the first instruction.
func (k *vms) build(ctx context.Context, r record, program []byte) (record, error) {
	dir, place := k.cloud.at.machine(r.ID), port(r.Address)
	if program != nil {
		var err error
		if r.Image, err = k.image(ctx, r); err != nil {
			return r, err
		}
		k.cloud.place("launch:shared")
		m := qemu.Machine{
			Image: k.images.DiskFile(r.Image), Firmware: k.cloud.set.firmware, ID: string(r.ID), Hostname: r.Hostname,
			Address: netip.PrefixFrom(r.Address, k.cloud.set.subnet.Bits()), MAC: bridge.MAC(r.Address).String(), UserData: program,
		}
		r.Firmware = m.Firmware
		if err := m.Make(ctx, dir); err != nil {
			return r, err
		}
		k.cloud.place("launch:files")
	}
	if err := k.cloud.forgetFirst(r.ID); err != nil {
		return r, err
	}
	tap, err := k.net.Tap(place)
	if err != nil {
		return r, err
	}
	defer tap.Close()
	k.cloud.place("launch:connected")
	commands, err := qemu.Listen(dir)
	if err != nil {
		return r, err
	}
	defer commands.Close()
	config := qemu.Config{
		Name: string(r.ID), Firmware: r.Firmware, MemoryMiB: r.MemoryMiB, CPUs: max(r.CPUs, 1), MAC: bridge.MAC(r.Address),
		KVM: k.kvm() == nil, Console: k.cloud.at.console(r.ID), User: r.FirstID, Tap: 4, QMP: 5,
	}
	r.life = life{HostBoot: k.cloud.hostRun}
	r.life.Task, err = k.cloud.first(ctx, r.ID, first{
		args: config.Args(), dir: dir, env: []string{"PATH=" + os.Getenv("PATH")}, files: []*os.File{tap, commands}, flags: unix.CLONE_NEWNET,
	})
	if err != nil {
		return r, err
	}
	k.cloud.place("launch:created")
	_ = commands.Close() // else nothing would tell that the emulator has ended
	if err := qemu.Tell(ctx, dir, "query-status"); err != nil {
		return r, fmt.Errorf("%w; its last words: %s", err, k.words(r))
	}
	return r, nil
}

// words gives the end of what the emulator of a machine printed.
func (k *vms) words(r record) []byte {
	const most = 500
	text, err := os.ReadFile(k.cloud.at.console(r.ID))
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(text[max(0, len(text)-most):])
}

// start lets the machine run its first instruction, unless it runs.
func (k *vms) start(ctx context.Context, r record) (task.Task, error) {
	if !r.life.Task.Alive() {
		return r.life.Task, nil
	}
	return r.life.Task, qemu.Tell(ctx, k.cloud.at.machine(r.ID), "cont")
}

// connect looks only: a port cannot be given to an emulator that runs.
func (k *vms) connect(r record) error { return k.net.Tapped(port(r.Address)) }

func (k *vms) release(context.Context, cloud.MachineID) error { return nil }

func (k *vms) remove(r record) error { return k.disconnect(r) }

func (k *vms) check(context.Context) []api.Check {
	set := k.cloud.set
	speed := api.Check{Name: "acceleration", OK: true, Detail: "KVM"}
	if err := k.kvm(); err != nil {
		speed.Detail = fmt.Sprintf("none, machines are emulated by software (TCG) and boot in a minute or so: %v", err)
	}
	return []api.Check{
		verdict("qemu", func() error { return qemu.Missing(set.firmware) }, fmt.Sprintf("installed; the firmware is %s", set.firmware)),
		speed,
		verdict("network", bridge.Try, "namespaces, bridges and nftables work"),
		verdict("TUN device", func() error { return checkDevice("/dev/net/tun") }, "machines can be given ports"),
		verdict("IMAGE", func() error {
			_, err := qemu.Format(set.image)
			return err
		}, set.image),
		k.checkSubnet(),
	}
}

func (k *vms) form() volume.Form { return volume.Disk }

// plug gives the machine a disk, which its agent mounts.
func (k *vms) plug(ctx context.Context, r record, v volume.Record) (string, error) {
	if v.Form != volume.Disk {
		return "", fmt.Errorf("%w: volume %s has the form %s, made under another RUNTIME; set that back", volume.ErrMissing, v.ID, v.Form)
	}
	return qemu.Device(string(v.ID)), qemu.Plug(ctx, k.cloud.at.machine(r.ID), string(v.ID), k.cloud.volumes.Content(v))
}

func (k *vms) unplug(ctx context.Context, r record, v volume.Record) error {
	return qemu.Unplug(ctx, k.cloud.at.machine(r.ID), string(v.ID))
}
