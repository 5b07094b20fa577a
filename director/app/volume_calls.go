package app

import (
	"context"
	"errors"
	"fmt"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// volume makes one call for a volume, if it is still in the state that asks for it.
func (c *calls) volume(v store.Volume, f func(context.Context, *place, cloud.Volumes, store.Volume) error) error {
	d, ctx := c.w.d, c.w.ctx
	var now store.Volume
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		now, err = r.Volume(v.ID)
		return err
	})
	if notFound(err) || err == nil && (now.State != v.State || now.Node != v.Node || now.Holder != v.Holder) {
		return nil
	}
	if err != nil {
		return err
	}
	p, able, err := d.volumePlace(now)
	if err != nil {
		return errors.Join(err, c.note(ctx, now, err))
	}
	return f(ctx, p, able, now)
}

// volumePlace gives the cloud of a volume.
func (d *Director) volumePlace(v store.Volume) (*place, cloud.Volumes, error) {
	p, ok := d.places[v.Cloud]
	if !ok {
		return nil, nil, fmt.Errorf("cloud %q of volume %s is not configured any more; restore its section in the configuration", v.Cloud, v.ID)
	}
	able, ok := p.provider.(cloud.Volumes)
	if !ok {
		return nil, nil, fmt.Errorf("cloud %q of volume %s keeps no volumes", v.Cloud, v.ID)
	}
	return p, able, nil
}

// recordVolume writes an event; one that has been overtaken is no error.
func (d *Director) recordVolume(ctx context.Context, id api.VolumeID, event life.VolumeEvent, change store.VolumeChange) error {
	err := d.store.Update(ctx, "volume."+string(event), func(tx *store.Tx) error {
		_, err := tx.StepVolume(id, event, change)
		return err
	})
	if errors.Is(err, life.ErrTransition) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// note tells people why a volume is not where it is to be; what passes by itself is not worth it.
func (c *calls) note(ctx context.Context, v store.Volume, cause error) error {
	if kind := cloud.KindOf(cause); ctx.Err() != nil || kind == cloud.KindTransient || kind == cloud.KindThrottled {
		return nil
	}
	return c.w.d.store.Update(ctx, "volume.noted", func(tx *store.Tx) error { return tx.NoteVolume(v.ID, cause.Error()) })
}

// createVolume asks for a volume. The token makes it safe to ask again after anything.
func (c *calls) createVolume(ctx context.Context, p *place, able cloud.Volumes, v store.Volume) error {
	var id cloud.VolumeID
	err := p.call(ctx, func(ctx context.Context) (err error) {
		id, err = able.CreateVolume(ctx, cloud.VolumeSpec{Token: v.Token, Name: v.Mount, SizeMiB: v.SizeMiB})
		return err
	})
	switch kind := cloud.KindOf(err); {
	case err == nil:
		return c.w.d.recordVolume(ctx, v.ID, life.VolumeCreated, store.VolumeChange{Volume: string(id)})
	case ctx.Err() != nil, kind == cloud.KindTransient, kind == cloud.KindThrottled:
		return err // it may have happened: the same token again
	}
	return errors.Join(err, c.w.d.recordVolume(ctx, v.ID, life.VolumeRetry, store.VolumeChange{Reason: err.Error()}))
}

func (c *calls) attachVolume(ctx context.Context, p *place, able cloud.Volumes, v store.Volume) error {
	device := ""
	err := p.call(ctx, func(ctx context.Context) (err error) {
		device, err = able.AttachVolume(ctx, cloud.VolumeID(v.Volume), cloud.MachineID(v.Machine))
		return err
	})
	if err != nil {
		return errors.Join(err, c.note(ctx, v, err))
	}
	return c.w.d.recordVolume(ctx, v.ID, life.VolumeAttached, store.VolumeChange{Device: device})
}

func (c *calls) detachVolume(ctx context.Context, p *place, able cloud.Volumes, v store.Volume) error {
	err := p.call(ctx, func(ctx context.Context) error {
		return able.DetachVolume(ctx, cloud.VolumeID(v.Volume), cloud.MachineID(v.Machine))
	})
	if err != nil {
		return errors.Join(err, c.note(ctx, v, err))
	}
	return c.w.d.recordVolume(ctx, v.ID, life.VolumeDetached, store.VolumeChange{})
}

func (c *calls) removeVolume(ctx context.Context, p *place, able cloud.Volumes, v store.Volume) error {
	return c.w.d.destroyVolume(ctx, p, able, v)
}

// destroyVolume removes a volume that is being deleted. Where its id was never learnt, a call may still have made one: it is looked up by
// its token.
func (d *Director) destroyVolume(ctx context.Context, p *place, able cloud.Volumes, v store.Volume) error {
	id := cloud.VolumeID(v.Volume)
	err := p.call(ctx, func(ctx context.Context) error {
		if id == "" {
			all, err := able.Volumes(ctx)
			if err != nil {
				return err
			}
			for _, one := range all {
				if one.Token == v.Token {
					id = one.ID
				}
			}
		}
		if id == "" {
			return nil
		}
		return able.RemoveVolume(ctx, id)
	})
	if err != nil {
		return err
	}
	return d.recordVolume(ctx, v.ID, life.VolumeDeleted, store.VolumeChange{Reason: v.Reason})
}
