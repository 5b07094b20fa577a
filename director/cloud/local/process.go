package local

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/mount"
	"conpaas/director/cloud/local/rootfs"
	"conpaas/director/cloud/local/task"
	"conpaas/director/cloud/local/volume"
)

// processes is the runtime process: a machine is a session of processes in a control group, with a directory and an
// address of 127.0.0.0/8. Nothing keeps it from the rest of the host.
type processes struct{ cloud *Cloud }

func (k *processes) up(context.Context, []record) error { return nil }

func (k *processes) down() error { return nil }

func (k *processes) prepare(context.Context) {}

// root is what the machine takes for its root directory, CONPAAS_ROOT.
func (k *processes) root(id cloud.MachineID) string {
	return filepath.Join(k.cloud.at.machine(id), "root")
}

// build writes the program.
func (k *processes) build(_ context.Context, r record, program []byte) (record, error) {
	path := filepath.Join(k.root(r.ID), userData)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return r, fmt.Errorf("make the machine's root: %w", err)
	}
	if program != nil {
		if err := os.WriteFile(path, program, 0o600); err != nil {
			return r, fmt.Errorf("write user-data: %w", err)
		}
		k.cloud.place("launch:files")
	}
	r.life = life{HostBoot: k.cloud.hostRun}
	return r, k.cloud.forgetFirst(r.ID)
}

// start starts the program unless it runs.
func (k *processes) start(ctx context.Context, r record) (task.Task, error) {
	if t, ok := k.cloud.begun(r.ID); ok {
		return t, nil
	}
	root := k.root(r.ID)
	return k.cloud.first(ctx, r.ID, first{
		args: []string{"/bin/sh", filepath.Join(root, userData)}, dir: root,
		env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + root, "CONPAAS_ROOT=" + root, "CONPAAS_LISTEN=" + r.Address.String(), "CONPAAS_CODE=" + k.cloud.config.Code},
	})
}

func (k *processes) connect(record) error { return nil }

func (k *processes) release(context.Context, cloud.MachineID) error { return nil }

// remove takes the volumes out of the machine's directory, which is removed then.
func (k *processes) remove(r record) error {
	_, err := mount.Clear(k.root(r.ID))
	return err
}

func (k *processes) form() volume.Form { return volume.Directory }

// plug mounts the volume in the machine's root directory, which is the host's: processes have no mounts of their own.
func (k *processes) plug(ctx context.Context, r record, v volume.Record) (string, error) {
	point := filepath.Join(k.root(r.ID), cloud.MountPath(v.Name))
	if err := os.MkdirAll(point, 0o755); err != nil {
		return "", fmt.Errorf("make the mount point of volume %s: %w", v.ID, err)
	}
	return "", k.cloud.volumes.Plug(ctx, v, os.Getpid(), point, rootfs.Range{})
}

func (k *processes) unplug(ctx context.Context, r record, v volume.Record) error {
	return volume.Unplug(ctx, os.Getpid(), filepath.Join(k.root(r.ID), cloud.MountPath(v.Name)))
}

// publish has nothing to do: the address of a machine is one of the host.
func (k *processes) publish(_ context.Context, m *machine, port uint16) (string, error) {
	return net.JoinHostPort(m.now.Load().Address.String(), fmt.Sprint(port)), nil
}

func (k *processes) unpublish(context.Context, cloud.MachineID) error { return nil }

func (k *processes) republish(context.Context) {}

func (k *processes) keep(context.Context) {}
