package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/cloud"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// sweepVolumes ends orphans whose time is over, destroys what is left of applications that are gone, and looks at the cloud's list:
// a volume that no row knows becomes an orphan of nobody, since a database that was put back may have forgotten it.
func (d *Director) sweepVolumes(ctx context.Context, p *place, strays map[cloud.VolumeID]time.Time) error {
	able, ok := p.provider.(cloud.Volumes)
	if !ok {
		return nil
	}
	var errs []error
	var left []store.Volume
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		left, err = r.LeftVolumes(p.name)
		return err
	})
	if err != nil {
		return err
	}
	for _, v := range left {
		if v.State == api.VolumeOrphan {
			d.log.Info("the grace of an orphaned volume is over", "volume", v.ID, "origin", v.Origin, "cloud", p.name)
			errs = append(errs, d.recordVolume(ctx, v.ID, life.VolumeDelete, store.VolumeChange{}))
			if v.Application != 0 {
				d.wake(v.Application)
				continue
			}
		}
		if err := d.destroyVolume(ctx, p, able, v); err != nil {
			errs = append(errs, fmt.Errorf("destroy volume %s: %w", v.ID, err))
		}
	}
	return errors.Join(append(errs, d.strayVolumes(ctx, p, able, strays))...)
}

func (d *Director) strayVolumes(ctx context.Context, p *place, able cloud.Volumes, strays map[cloud.VolumeID]time.Time) error {
	var listed []cloud.Volume
	err := p.call(ctx, func(ctx context.Context) (err error) {
		listed, err = able.Volumes(ctx)
		return err
	})
	if err != nil {
		return err
	}
	now := time.Now()
	seen := map[cloud.VolumeID]bool{}
	for _, l := range listed {
		var v store.Volume
		err := d.store.View(ctx, func(r *store.Read) (err error) {
			v, err = r.VolumeByToken(l.Token)
			return err
		})
		known := err == nil
		if err != nil && !notFound(err) {
			return err
		}
		if known && v.State != api.VolumeGone && (v.Volume == "" || v.Volume == string(l.ID)) {
			continue
		}
		seen[l.ID] = true
		if first, before := strays[l.ID]; !before {
			strays[l.ID] = now
			continue
		} else if now.Sub(first) < d.config.Timing.Stray {
			continue
		}
		if err := d.stray(ctx, p, able, l, known); err != nil {
			return err
		}
	}
	for id := range strays {
		if !seen[id] {
			delete(strays, id)
		}
	}
	return nil
}

// stray removes a volume that was destroyed already or is a duplicate, and adopts one that is not known.
func (d *Director) stray(ctx context.Context, p *place, able cloud.Volumes, l cloud.Volume, known bool) error {
	if known {
		d.log.Warn("a volume that was destroyed is still there; it is removed", "cloud", p.name, "volume", l.ID, "token", l.Token)
		return p.call(ctx, func(ctx context.Context) error { return able.RemoveVolume(ctx, l.ID) })
	}
	d.log.Warn("a volume is not known; it is kept as an orphan", "cloud", p.name, "volume", l.ID, "token", l.Token, "created", l.Created)
	err := d.store.Update(ctx, "volume.adopted", func(tx *store.Tx) error {
		_, err := tx.AdoptVolume(p.name, l.Token, string(l.ID), l.SizeMiB, d.config.VolumeKeep)
		return err
	})
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

// sweepingVolumes is sweepVolumes again and again.
func (d *Director) sweepingVolumes(ctx context.Context, p *place) {
	strays := make(map[cloud.VolumeID]time.Time) // first seen
	tick := time.NewTicker(d.config.Timing.Sweep)
	defer tick.Stop()
	for {
		if err := d.sweepVolumes(ctx, p, strays); err != nil && ctx.Err() == nil {
			d.log.Warn("the volumes of a cloud could not be swept", "cloud", p.name, daemon.KeyError, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
