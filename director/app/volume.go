package app

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// volumeParams is what an operation on a volume remembers.
type volumeParams struct {
	Volume api.VolumeID `json:"volume"`
	Node   api.NodeID   `json:"node,omitempty"`
}

var (
	volumeForm = regexp.MustCompile(`^` + api.VolumeNameForm + `$`)
	volumeIDs  = regexp.MustCompile(`^(.*-)?v[0-9]+$`) // ids, and names of the volumes that come with machines
)

// Volumes gives a page of the volumes of an application.
func (d *Director) Volumes(ctx context.Context, a Actor, ref string, p Page) (api.List[api.Volume], error) {
	return d.volumePage(ctx, p, func(r *store.Read, page store.Page) ([]store.Volume, int64, error) {
		v, err := findApplication(r, a, ref, toView)
		if err != nil {
			return nil, 0, err
		}
		return r.VolumePage(v.ID, page)
	})
}

// Orphans gives a page of the actor's volumes that nothing needs any more; an administrator's has those of nobody, too.
func (d *Director) Orphans(ctx context.Context, a Actor, p Page) (api.List[api.Volume], error) {
	return d.volumePage(ctx, p, func(r *store.Read, page store.Page) ([]store.Volume, int64, error) {
		return r.OrphanPage(a.ID, a.Admin, page)
	})
}

func (d *Director) volumePage(ctx context.Context, p Page, read func(*store.Read, store.Page) ([]store.Volume, int64, error)) (list api.List[api.Volume], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		volumes, next, err := read(r, page)
		list.Items, list.Next = make([]api.Volume, len(volumes)), cursor(next)
		for i, v := range volumes {
			list.Items[i] = showVolume(v)
		}
		return err
	})
	return list, problem(err)
}

func showVolume(v store.Volume) api.Volume {
	out := api.Volume{
		ID: v.ID, Name: v.Name, Application: v.Application, Service: v.Service, Role: v.Role, Automatic: v.Automatic, Origin: v.Origin, Mount: cloud.MountPath(v.Mount),
		Cloud: v.Cloud, SizeMiB: v.SizeMiB, State: v.State, Reason: v.Reason, Node: v.Node, Since: v.Since, Created: v.Created,
	}
	if out.Node == "" {
		out.Node = v.Holder
	}
	if !v.Until.IsZero() {
		out.Until = &v.Until
	}
	return out
}

// Volume gives one volume of an application by id or name.
func (d *Director) Volume(ctx context.Context, a Actor, ref, volume string) (out api.Volume, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		v, err := findVolume(r, a, ref, volume, toView)
		out = showVolume(v)
		return err
	})
	return out, problem(err)
}

// CreateVolume makes a volume, for a machine at once where the request names one.
func (d *Director) CreateVolume(ctx context.Context, a Actor, ref string, in api.VolumeCreate) (api.Operation, error) {
	if err := checkVolume(in); err != nil {
		return api.Operation{}, err
	}
	op, err := d.operation(ctx, string(api.OpVolumeCreate), func(tx *store.Tx) (none store.NewOperation, err error) {
		v, err := findApplication(&tx.Read, a, ref, toOperate)
		if err != nil {
			return none, err
		}
		n := store.NewVolume{Application: v.ID, Name: in.Name, Cloud: in.Cloud, SizeMiB: in.SizeMiB}
		if n.Cloud == "" {
			n.Cloud = v.Cloud
		}
		if in.Node != "" || in.VolumeService != (api.VolumeService{}) {
			k, err := d.keeperOf(&tx.Read, a, v, in.Node, in.VolumeService, store.Volume{Mount: in.Name})
			if err != nil {
				return none, err
			}
			if in.Cloud != "" && in.Cloud != k.cloud {
				return none, api.InField("cloud", "%s on cloud %s, and the volume would be on cloud %s", k, k.cloud, in.Cloud)
			}
			if err := d.idleAt(&tx.Read, v.ID, k.service); err != nil {
				return none, err
			}
			n.Cloud, n.Node, n.Service, n.Role = k.cloud, k.node, k.service, k.role
		}
		if err := d.keepsVolumes(n.Cloud); err != nil {
			return none, err
		}
		made, err := tx.CreateVolume(n)
		if err != nil {
			return none, taken(err, "volume", in.Name)
		}
		return volumeOperation(api.OpVolumeCreate, made, n.Node), nil
	})
	return op, err
}

func checkVolume(in api.VolumeCreate) error {
	switch {
	case !volumeForm.MatchString(in.Name):
		return api.InField("name", "%.80q is no name of a volume: want 1 to 63 letters, digits, '-' and '_', a letter first", in.Name)
	case volumeIDs.MatchString(in.Name):
		return api.InField("name", "%q looks like the id of a volume; choose another name", in.Name)
	case in.SizeMiB < api.MinVolumeMiB || in.SizeMiB > api.MaxVolumeMiB:
		return api.InField("size_mib", "%d MiB cannot be the size of a volume: want %d to %d", in.SizeMiB, api.MinVolumeMiB, api.MaxVolumeMiB)
	}
	return nil
}

// keepsVolumes refuses a cloud that keeps none.
func (d *Director) keepsVolumes(name string) error {
	p, err := d.place(name)
	if err != nil {
		return err
	}
	if _, ok := p.provider.(cloud.Volumes); !ok {
		return api.Errorf(api.CodeUnsupported, "cloud %s keeps no volumes", name)
	}
	return nil
}

// machineFor gives a machine of an application that can have a volume.
func machineFor(r *store.Read, a Actor, v store.Application, id api.NodeID) (store.Node, error) {
	n, err := findNode(r, a, id, toOperate)
	switch {
	case notFound(err) || err == nil && n.Application != v.ID:
		return n, api.InField("node", "application %q has no node %.80q", v.Name, id)
	case err != nil:
		return n, err
	case n.IsManager():
		return n, api.InField("node", "node %s is the manager's; volumes are for machines of services", id)
	case !acts(n) || n.State == api.NodeDraining:
		return n, api.Errorf(api.CodeConflict, "node %s is %s; choose another machine", id, n.State)
	}
	return n, nil
}

// mountFree refuses a second volume of one mount name on a machine.
func mountFree(r *store.Read, n store.Node, one store.Volume) error {
	all, err := r.HeldVolumes(n.Application)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(v store.Volume) bool {
		return v.ID != one.ID && v.Mount == one.Mount && (v.Node == n.ID || v.Holder == n.ID)
	})
	if i >= 0 {
		return api.Errorf(api.CodeConflict, "node %s has volume %s at %s already", n.ID, all[i].Name, cloud.MountPath(one.Mount))
	}
	return nil
}

func volumeOperation(kind api.OperationKind, v store.Volume, node api.NodeID) store.NewOperation {
	return store.NewOperation{Kind: kind, Application: v.Application, Params: params(volumeParams{Volume: v.ID, Node: node})}
}

// AttachVolume gives a volume to a machine, and after it to those that take its place.
func (d *Director) AttachVolume(ctx context.Context, a Actor, ref, volume string, in api.VolumeAttach) (api.Operation, error) {
	return d.changeVolume(ctx, a, ref, volume, api.OpVolumeAttach, toOperate, func(tx *store.Tx, v store.Volume) (api.NodeID, error) {
		application, err := tx.Application(v.Application)
		if err != nil {
			return "", err
		}
		k, err := d.keeperOf(&tx.Read, a, application, in.Node, in.VolumeService, v)
		if err != nil {
			return "", err
		}
		at := v.Node
		if at == "" {
			at = v.Holder
		}
		switch {
		case at != "" && in.Node == "" && v.Service == k.service && v.Role == k.role:
			return at, nil
		case at != "" && at != k.node:
			return "", api.Errorf(api.CodeConflict, "volume %s is at node %s; first: cps volume detach %s %s", v.Name, at, ref, volume)
		case v.Cloud != k.cloud:
			return "", api.InField("node", "%s on cloud %s, and volume %s on cloud %s", k, k.cloud, v.Name, v.Cloud)
		}
		if at == "" {
			if err := d.idleAt(&tx.Read, v.Application, k.service); err != nil {
				return "", err
			}
		}
		_, err = tx.AssignVolume(v.ID, k.node, k.service, k.role)
		return k.node, err
	})
}

// DetachVolume takes a volume from its machine.
func (d *Director) DetachVolume(ctx context.Context, a Actor, ref, volume string) (api.Operation, error) {
	return d.changeVolume(ctx, a, ref, volume, api.OpVolumeDetach, toOperate, func(tx *store.Tx, v store.Volume) (api.NodeID, error) {
		if err := d.idleAt(&tx.Read, v.Application, v.Service); err != nil {
			return "", err
		}
		_, err := tx.AssignVolume(v.ID, "", 0, "")
		return v.Holder, err
	})
}

// DeleteVolume destroys a volume that no machine has, and its content.
func (d *Director) DeleteVolume(ctx context.Context, a Actor, ref, volume string) (api.Operation, error) {
	return d.changeVolume(ctx, a, ref, volume, api.OpVolumeDelete, toOwn, func(tx *store.Tx, v store.Volume) (api.NodeID, error) {
		at := v.Node
		if at == "" {
			at = v.Holder
		}
		if at != "" {
			return "", api.Errorf(api.CodeConflict, "volume %s is at node %s; first: cps volume detach %s %s", v.Name, at, ref, volume)
		}
		_, err := tx.StepVolume(v.ID, life.VolumeDelete, store.VolumeChange{})
		return "", err
	})
}

// changeVolume changes what is wanted of a volume that a user has made.
func (d *Director) changeVolume(ctx context.Context, a Actor, ref, volume string, kind api.OperationKind, n need, change func(*store.Tx, store.Volume) (api.NodeID, error)) (api.Operation, error) {
	return d.operation(ctx, string(kind), func(tx *store.Tx) (none store.NewOperation, err error) {
		v, err := findVolume(&tx.Read, a, ref, volume, n)
		if err != nil {
			return none, err
		}
		if v.Automatic {
			return none, api.Errorf(api.CodeConflict, "volume %s comes and goes with the machines of service %s; change their number, or remove the service", v.Name, v.Service)
		}
		node, err := change(tx, v)
		return volumeOperation(kind, v, node), err
	})
}

// RestoreVolume gives an orphan to an application of its owner, as one that a user has made.
func (d *Director) RestoreVolume(ctx context.Context, a Actor, id string, in api.VolumeRestore) (out api.Volume, err error) {
	err = d.store.Update(ctx, "volume.restored", func(tx *store.Tx) error {
		v, err := findOrphan(&tx.Read, a, id)
		if err != nil {
			return err
		}
		application, err := findApplication(&tx.Read, a, in.Application, toOwn)
		if err != nil {
			return err
		}
		name := in.Name
		if name == "" && volumeIDs.MatchString(v.Name) {
			name = fmt.Sprintf("restored-%s", v.Mount)
		} else if name == "" {
			name = v.Name
		}
		if err := checkVolume(api.VolumeCreate{Name: name, SizeMiB: v.SizeMiB}); err != nil {
			return err
		}
		v, err = tx.RestoreVolume(v.ID, application.ID, name)
		out = showVolume(v)
		return taken(err, "volume", name)
	})
	return out, problem(err)
}

// DeleteOrphan destroys an orphan before its grace is over.
func (d *Director) DeleteOrphan(ctx context.Context, a Actor, id string) error {
	var v store.Volume
	err := d.store.Update(ctx, "volume.ended", func(tx *store.Tx) (err error) {
		if v, err = findOrphan(&tx.Read, a, id); err != nil {
			return err
		}
		_, err = tx.StepVolume(v.ID, life.VolumeDelete, store.VolumeChange{})
		return err
	})
	if err == nil && v.Application != 0 {
		d.wakeFor(ctx, v.Application)
	}
	return problem(err)
}
