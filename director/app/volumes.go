package app

import (
	"context"
	"errors"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// volumes takes the volumes one step towards what is wanted of them, and makes the calls to clouds that their states ask for. It is
// the first stage of a round: which machine is a successor is decided before there is one.
func (w *worker) volumes(ctx context.Context, s *snapshot, seen observed, next *deadline) error {
	plan := &volumePlan{s: s, keeps: func(v store.Volume) bool { return w.keeps(v, seen) }}
	steps := volumeSteps(s, w.d.volumeOf, plan.keeps)
	for i := range steps {
		step := &steps[i]
		if step.event == life.VolumeCreate && !w.calls.free(string(step.id), next) {
			step.id = "" // after a pause
		}
		if step.event == life.VolumeAbandon {
			step.change.Keep = w.d.config.VolumeKeep
		}
	}
	if err := w.commitVolumes(ctx, s, steps); err != nil {
		return err
	}
	for _, v := range s.volumes {
		var call func(context.Context, *place, cloud.Volumes, store.Volume) error
		switch {
		case v.State == api.VolumeCreating:
			call = w.calls.createVolume
		case v.State == api.VolumeAttaching && v.Node == v.Holder:
			call = w.calls.attachVolume
		case v.State == api.VolumeDetaching && v.Node != v.Holder && plan.mayDetach(v):
			call = w.calls.detachVolume
		case v.State == api.VolumeDeleting:
			call = w.calls.removeVolume
		default:
			continue
		}
		w.calls.begin(string(v.ID), string(v.State), next, func() error { return w.calls.volume(v, call) })
	}
	return nil
}

// keeps tells whether the machine of a volume that is being detached may have it mounted: its manager has not heard yet that it is to let
// go, or its agent says so. Of a machine that nothing is heard of nobody can tell, and its cloud decides.
func (w *worker) keeps(v store.Volume, seen observed) bool {
	h, known := seen.health[v.Holder]
	if seen.node == "" || !known || !h.Connected || h.Status == nil {
		return false
	}
	if !w.link.released(v) {
		return true
	}
	for _, id := range h.Status.Volumes {
		if id == v.ID {
			return true
		}
	}
	return false
}

// released tells whether the connected manager has taken a spec in which the holder of a volume does not have it.
func (l *link) released(v store.Volume) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked == nil {
		return false
	}
	for _, n := range l.acked.spec.Nodes {
		for _, m := range n.Volumes {
			if n.ID == v.Holder && m.ID == v.ID {
				return false
			}
		}
	}
	return true
}

// volumeOf gives the volume that every machine of a role has, nil where they have none.
func (d *Director) volumeOf(t api.ServiceType, role api.Role) *api.VolumeKind {
	kind, err := d.serviceKind(t)
	if err != nil { // of a later version; it keeps what it has
		return nil
	}
	row, _ := kind.FindRole(role)
	return row.Volume
}

// commitVolumes writes steps in one transaction per kind of event, and reads the volumes anew. One that has been overtaken is no error.
func (w *worker) commitVolumes(ctx context.Context, s *snapshot, steps []volumeStep) error {
	written := false
	for len(steps) > 0 {
		name, some, rest := steps[0].name(), []volumeStep(nil), []volumeStep(nil)
		for _, step := range steps {
			switch {
			case step.id == "" && step.create == nil:
			case step.name() == name:
				some = append(some, step)
			default:
				rest = append(rest, step)
			}
		}
		steps = rest
		if len(some) == 0 {
			continue
		}
		written = true
		err := w.d.store.Update(ctx, name, func(tx *store.Tx) error {
			for _, step := range some {
				if err := step.write(tx); err != nil && !errors.Is(err, life.ErrTransition) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if !written {
		return nil
	}
	s.changed = true
	return w.d.store.View(ctx, func(r *store.Read) (err error) {
		s.volumes, err = r.HeldVolumes(w.id)
		return err
	})
}

// name names the transaction of a step.
func (s volumeStep) name() string {
	switch {
	case s.create != nil:
		return "volume.wanted"
	case s.event == "":
		return "volume.assigned"
	}
	return "volume." + string(s.event)
}

func (s volumeStep) write(tx *store.Tx) (err error) {
	switch {
	case s.create != nil:
		_, err = tx.CreateVolume(*s.create)
	case s.event == "":
		_, err = tx.AssignVolume(s.id, s.node, s.service, s.role)
	default:
		_, err = tx.StepVolume(s.id, s.event, s.change)
	}
	return err
}

// mounts gives the volumes that a machine has, as it sees them.
func mounts(n store.Node, volumes []store.Volume) (list []api.VolumeMount) {
	for _, v := range volumes {
		if v.State == api.VolumeAttached && v.Holder == n.ID && v.Node == n.ID {
			list = append(list, api.VolumeMount{ID: v.ID, Name: v.Mount, Device: v.Device, Path: cloud.MountPath(v.Mount)})
		}
	}
	return list
}
