package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"conpaas/client/api"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// volumeOutcome gives the event that ends an operation on a volume, "" while it goes on.
func (w *worker) volumeOutcome(s *snapshot, op store.Operation, next *deadline) (life.OperationEvent, *store.Failure) {
	v, there, node := volumeOf(s, op)
	meanwhile := &store.Failure{Code: api.CodeConflict, Detail: "the volume was given to another machine, detached or deleted meanwhile, or its machine was lost"}
	var done bool
	switch {
	case op.Kind == api.OpVolumeDelete:
		done = !there
	case (!there || v.State == api.VolumeDeleting) && v.Reason != "":
		return life.OperationFail, &store.Failure{Code: api.CodeUnavailable, Detail: v.Reason}
	case !there || v.State == api.VolumeDeleting:
		return life.OperationCancel, meanwhile
	case op.Kind == api.OpVolumeDetach && v.Node != "":
		return life.OperationCancel, meanwhile
	case op.Kind == api.OpVolumeDetach:
		done = v.Holder == ""
	case node == "": // it waits for a machine, or for nobody
		done = v.State != api.VolumeWanted && v.State != api.VolumeCreating
	case v.Node != node:
		return life.OperationCancel, meanwhile
	default:
		done = v.State == api.VolumeAttached && v.Holder == node
	}
	if done {
		return life.OperationSucceed, nil
	}
	if v.Reason == "" {
		return "", nil
	}
	limit := w.patience.waiting("operation "+string(op.ID), next.now).Add(errorPatience)
	if next.now.Before(limit) {
		next.at(limit)
		return "", nil
	}
	return life.OperationFail, &store.Failure{Code: api.CodeUnavailable, Detail: v.Reason}
}

// volumeOf gives the volume and the machine of an operation.
func volumeOf(s *snapshot, op store.Operation) (v store.Volume, there bool, node api.NodeID) {
	var p volumeParams
	if err := json.Unmarshal(op.Params, &p); err != nil {
		return v, false, "" // nothing else writes them
	}
	i := slices.IndexFunc(s.volumes, func(v store.Volume) bool { return v.ID == p.Volume })
	if i < 0 {
		return v, false, p.Node
	}
	return s.volumes[i], true, p.Node
}

// onVolume tells whether an operation is one on a volume.
func onVolume(kind api.OperationKind) bool {
	switch kind {
	case api.OpVolumeCreate, api.OpVolumeAttach, api.OpVolumeDetach, api.OpVolumeDelete:
		return true
	}
	return false
}

// volumeProgress tells how far an operation on a volume is.
func volumeProgress(s *snapshot, op store.Operation) string {
	v, there, _ := volumeOf(s, op)
	switch {
	case !there:
		return "the volume is gone"
	case v.Reason != "":
		return "volume " + v.Name + " is " + string(v.State) + ": " + v.Reason
	}
	return "volume " + v.Name + " is " + string(v.State)
}

// takeBack leaves a volume where it was when an operation that was to move it has failed.
func (w *worker) takeBack(ctx context.Context, s *snapshot, op store.Operation) error {
	v, there, _ := volumeOf(s, op)
	if !there || op.Kind == api.OpVolumeDelete {
		return nil
	}
	s.changed = true
	return w.d.store.Update(ctx, "volume.takenback", func(tx *store.Tx) error {
		if op.Kind != api.OpVolumeDetach {
			_, err := tx.AssignVolume(v.ID, "", 0, "")
			return err
		}
		n, err := tx.Node(v.Holder)
		if err == nil && acts(n) {
			_, err = tx.AssignVolume(v.ID, n.ID, n.Service, n.Role)
		}
		if errors.Is(err, store.ErrNotFound) {
			return nil // its machine has gone, and the volume is free soon
		}
		return err
	})
}
