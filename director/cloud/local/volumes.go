package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/cloud/local/rootfs"
	"conpaas/director/cloud/local/volume"
)

// claims are volumes, by id or by token, that somebody works on.
type claims struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when it is free
}

// take waits until nobody else works on a volume. Whoever works on a machine may take a volume, not the other way round.
func (c *claims) take(ctx context.Context, name string) (release func(), err error) {
	for {
		c.mu.Lock()
		other, busy := c.held[name]
		if !busy {
			mine := make(chan struct{})
			c.held[name] = mine
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.held, name)
				c.mu.Unlock()
				close(mine)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Volumes gives all volumes, the oldest first.
func (c *Cloud) Volumes(ctx context.Context) ([]cloud.Volume, error) {
	_, call, err := c.begin(ctx, "volumes")
	if err != nil {
		return nil, err
	}
	records, err := c.volumes.List()
	if err = call.end(err); err != nil {
		return nil, err
	}
	list := make([]cloud.Volume, len(records))
	for i, r := range records {
		list[i] = cloud.Volume{ID: r.ID, Token: r.Token, SizeMiB: r.SizeMiB, Machine: r.Machine, Created: r.Created}
	}
	if call.fault.Empty {
		list = []cloud.Volume{}
	}
	return list, nil
}

// CreateVolume makes a volume, or gives the one that has the token.
func (c *Cloud) CreateVolume(ctx context.Context, spec cloud.VolumeSpec) (cloud.VolumeID, error) {
	const op = "create-volume"
	ctx, call, err := c.begin(ctx, op)
	if err != nil {
		return "", err
	}
	id, err := c.createVolume(ctx, op, spec)
	if err = call.end(err); err != nil {
		return "", err
	}
	return id, nil
}

func (c *Cloud) createVolume(ctx context.Context, op string, spec cloud.VolumeSpec) (cloud.VolumeID, error) {
	if err := checkToken(spec.Token); err != nil {
		return "", c.wrong(op, "%v", err)
	}
	if spec.Deployment != "" && spec.Deployment != c.config.Deployment {
		return "", c.wrong(op, "deployment %q is not this one, %q", spec.Deployment, c.config.Deployment)
	}
	if text := spec.Check(); text != "" {
		return "", c.wrong(op, "%s: %q, %d MiB", text, spec.Name, spec.SizeMiB)
	}
	release, err := c.claims.take(ctx, "token "+spec.Token)
	if err != nil {
		return "", err
	}
	defer release()
	all, err := c.volumes.List()
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(all, func(r volume.Record) bool { return r.Token == spec.Token }); i >= 0 {
		return all[i].ID, nil
	}
	r, err := c.volumes.Add(ctx, volume.Record{Token: spec.Token, Name: spec.Name, SizeMiB: spec.SizeMiB, Form: c.kind.form()})
	return r.ID, err
}

// RemoveVolume removes a volume that no machine has.
func (c *Cloud) RemoveVolume(ctx context.Context, id cloud.VolumeID) error {
	const op = "remove-volume"
	ctx, call, err := c.begin(ctx, op)
	if err != nil {
		return err
	}
	return call.end(c.withVolume(ctx, id, func(v volume.Record) error {
		if v.Machine != "" {
			return c.inUseBy(op, v)
		}
		return c.volumes.Remove(id)
	}))
}

func (c *Cloud) inUseBy(op string, v volume.Record) error {
	return &cloud.Error{Kind: cloud.KindInUse, Cloud: c.config.Name, Op: op, Text: fmt.Sprintf("volume %s is attached to machine %s; detach it first", v.ID, v.Machine)}
}

// withVolume works on a volume when nobody else does; one that is not there is no error.
func (c *Cloud) withVolume(ctx context.Context, id cloud.VolumeID, f func(volume.Record) error) error {
	release, err := c.claims.take(ctx, string(id))
	if err != nil {
		return err
	}
	defer release()
	v, err := c.volumes.Find(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f(v)
}

// AttachVolume makes a volume part of a machine that runs. It is noted first, so that it can be undone after a crash.
func (c *Cloud) AttachVolume(ctx context.Context, id cloud.VolumeID, to cloud.MachineID) (device string, err error) {
	const op = "attach-volume"
	ctx, call, err := c.begin(ctx, op)
	if err != nil {
		return "", err
	}
	device, err = c.attach(ctx, op, id, to)
	if err = call.end(err); err != nil {
		return "", err
	}
	return device, nil
}

func (c *Cloud) attach(ctx context.Context, op string, id cloud.VolumeID, to cloud.MachineID) (device string, err error) {
	m, _, err := c.find(op, to)
	if err != nil {
		return "", err
	}
	if err := m.lock(ctx); err != nil {
		return "", err
	}
	defer m.unlock()
	r := m.now.Load()
	if r == nil || r.ending {
		return "", c.unknown(op, to)
	}
	if !r.life.Started || !r.life.Task.Alive() {
		return "", &cloud.Error{Kind: cloud.KindTransient, Cloud: c.config.Name, Op: op, Text: fmt.Sprintf("machine %s does not run", to)}
	}
	absent := &cloud.Error{Kind: cloud.KindNotFound, Cloud: c.config.Name, Op: op, Text: fmt.Sprintf("there is no volume %.80q", id)}
	err = absent
	wrong := c.withVolume(ctx, id, func(v volume.Record) error {
		err = nil
		if v.Machine != "" && v.Machine != to {
			return c.inUseBy(op, v)
		}
		if err := c.nameFree(op, v, to); err != nil {
			return err
		}
		if v, err = c.volumes.Give(v, to); err != nil {
			return err
		}
		c.place("attach:noted")
		if device, err = c.kind.plug(ctx, *r, v); err != nil {
			return err
		}
		c.place("attach:done")
		return nil
	})
	if wrong != nil {
		return "", wrong
	}
	return device, err
}

// nameFree refuses a second volume of one name on a machine.
func (c *Cloud) nameFree(op string, v volume.Record, on cloud.MachineID) error {
	all, err := c.volumes.List()
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Machine == on && other.Name == v.Name && other.ID != v.ID {
			return &cloud.Error{Kind: cloud.KindInUse, Cloud: c.config.Name, Op: op, Text: fmt.Sprintf("machine %s has volume %s of the name %s already", on, other.ID, v.Name)}
		}
	}
	return nil
}

// DetachVolume takes a volume from a machine.
func (c *Cloud) DetachVolume(ctx context.Context, id cloud.VolumeID, from cloud.MachineID) error {
	const op = "detach-volume"
	ctx, call, err := c.begin(ctx, op)
	if err != nil {
		return err
	}
	return call.end(c.detach(ctx, id, from))
}

func (c *Cloud) detach(ctx context.Context, id cloud.VolumeID, from cloud.MachineID) error {
	c.mu.Lock()
	m := c.machines[from]
	c.mu.Unlock()
	if m != nil {
		if err := m.lock(ctx); err != nil {
			return err
		}
		defer m.unlock()
	}
	return c.withVolume(ctx, id, func(v volume.Record) error {
		if v.Machine != from {
			return nil
		}
		if m != nil {
			if r := m.now.Load(); r != nil && r.life.Task.Alive() {
				if err := c.kind.unplug(ctx, *r, v); err != nil {
					return err
				}
			}
		}
		c.place("detach:unplugged")
		_, err := c.volumes.Give(v, "")
		return err
	})
}

// part takes all volumes from a machine of which nothing is left. The caller is busy with it.
func (c *Cloud) part(ctx context.Context, from cloud.MachineID) error {
	all, err := c.volumes.List()
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.Machine != from {
			continue
		}
		err := c.withVolume(ctx, v.ID, func(v volume.Record) error {
			if v.Machine != from {
				return nil
			}
			_, err := c.volumes.Give(v, "")
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// parted takes the volumes from machines that are not there any more.
func (c *Cloud) parted(whole []record) error {
	all, err := c.volumes.List()
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.Machine != "" && !slices.ContainsFunc(whole, func(r record) bool { return r.ID == v.Machine }) {
			if _, err := c.volumes.Give(v, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// replug gives a machine the volumes that it had: its host was restarted, or the director that was attaching one.
func (c *Cloud) replug(ctx context.Context, r record) error {
	all, err := c.volumes.List()
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.Machine != r.ID {
			continue
		}
		if _, err := c.kind.plug(ctx, r, v); err != nil {
			return fmt.Errorf("give it volume %s again: %w", v.ID, err)
		}
	}
	return nil
}

// checkVolumes tells how the content of volumes is kept.
func (c *Cloud) checkVolumes() api.Check {
	const name = "volumes"
	switch form := c.kind.form(); form {
	case volume.Ext4:
		return verdict(name, volume.Missing, "files with a file system, on loop devices")
	case volume.Directory:
		return api.Check{Name: name, OK: true, Detail: "directories of the host: their size is not limited, and machines that fill them fill the host's disk"}
	default:
		return api.Check{Name: name, OK: true, Detail: "disks that machines are given while they run"}
	}
}

// form is a file with a file system; where there are no loop devices for it, as for an ordinary user, a directory.
func (k *containers) form() volume.Form {
	if !k.cloud.mode.limits {
		return volume.Directory
	}
	return volume.Ext4
}

// plug mounts the volume in the machine.
func (k *containers) plug(ctx context.Context, r record, v volume.Record) (string, error) {
	o, point := k.overlay(r), cloud.MountPath(v.Name)
	if err := o.MakeDir(point); err != nil {
		return "", err
	}
	return "", k.cloud.volumes.Plug(ctx, v, r.life.Task.PID, point, rootfs.Range{First: r.FirstID, Size: k.cloud.set.ids.Size})
}

func (k *containers) unplug(ctx context.Context, r record, v volume.Record) error {
	return volume.Unplug(ctx, r.life.Task.PID, cloud.MountPath(v.Name))
}
