package app

import (
	"fmt"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/store"
)

// keeper is whose machines are to have a volume, and which of them has it first; node is empty where there is none yet, and the next
// one gets it.
type keeper struct {
	node    api.NodeID
	service api.ServiceID
	role    api.Role
	cloud   string
}

// String names it at the beginning of a sentence about its cloud.
func (k keeper) String() string {
	if k.node != "" {
		return fmt.Sprintf("node %s is", k.node)
	}
	return fmt.Sprintf("service %s is", k.service)
}

// keeperOf gives the keeper of a volume: the machine that a request names, else the service's oldest one of
// the role.
func (d *Director) keeperOf(r *store.Read, a Actor, v store.Application, node api.NodeID, in api.VolumeService, volume store.Volume) (k keeper, err error) {
	if node != "" {
		if in.Service != "" || in.Role != "" {
			return k, api.InField("service", "name a machine or a service, not both")
		}
		n, err := machineFor(r, a, v, node)
		if err == nil {
			err = mountFree(r, n, volume)
		}
		return keeper{node: n.ID, service: n.Service, role: n.Role, cloud: n.Cloud}, err
	}
	if in.Service == "" {
		return k, api.InField("service", "a role is of a service; name that, too")
	}
	s, err := findService(r, a, v.ID.String(), in.Service, toOperate)
	if notFound(err) {
		return k, api.InField("service", "application %q has no service %.80q", v.Name, in.Service)
	}
	if err != nil {
		return k, err
	}
	kind, err := d.serviceKind(s.Type)
	if err != nil {
		return k, err
	}
	if in.Role == "" {
		in.Role = kind.Roles[0].Role
	}
	row, ok := kind.FindRole(in.Role)
	switch {
	case !ok:
		return k, api.InField("role", "service type %s has no role %.80q; there are: %s", s.Type, in.Role, roleList(kind))
	case row.Volume != nil && row.Volume.Name == volume.Mount:
		return k, api.Errorf(api.CodeConflict, "the machines of role %s of service %q have a volume at %s already; choose another name", in.Role, s.Name, cloud.MountPath(volume.Mount))
	}
	k = keeper{service: s.ID, role: in.Role, cloud: s.Cloud}
	if s.Wanted != store.ServiceStarted || v.Wanted != store.ApplicationRunning {
		return k, nil
	}
	nodes, err := r.LiveNodes(v.ID)
	for _, n := range nodesOf(nodes, s.ID) {
		if k.node == "" && n.Role == in.Role && n.Cloud == s.Cloud && acts(n) && n.State != api.NodeDraining {
			k.node = n.ID
		}
	}
	return k, err
}
