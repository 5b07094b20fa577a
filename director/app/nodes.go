package app

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"strings"

	"conpaas/client/api"
	"conpaas/client/manager"
	"conpaas/client/wire"
	"conpaas/director/cloud"
	"conpaas/director/store"
)

// AddNodes wants more machines in roles of a service that is started.
func (d *Director) AddNodes(ctx context.Context, a Actor, ref, service string, in api.NodesChange) (api.Operation, error) {
	return d.changeNodes(ctx, a, ref, service, in, api.OpAddNodes, func(kind api.RoleKind, have, by int) (int, error) {
		if kind.Max > 0 && have+by > kind.Max {
			return 0, api.InField("nodes."+string(kind.Role), "the service has %s of role %s, and there can be at most %d", machines(have), kind.Role, kind.Max)
		}
		return have + by, nil
	})
}

// RemoveNodes wants fewer machines in roles of a service that is started; the newest go first.
func (d *Director) RemoveNodes(ctx context.Context, a Actor, ref, service string, in api.NodesChange) (api.Operation, error) {
	return d.changeNodes(ctx, a, ref, service, in, api.OpRemoveNodes, func(kind api.RoleKind, have, by int) (int, error) {
		if have-by < kind.Min {
			return 0, api.InField("nodes."+string(kind.Role), "the service has %s of role %s and keeps at least %d; at most %d can be removed", machines(have), kind.Role, kind.Min, have-kind.Min)
		}
		return have - by, nil
	})
}

// mostNodes bounds what may be asked for at once, before it is added to anything: no network has more addresses.
const mostNodes = 1 << 30

func (d *Director) changeNodes(ctx context.Context, a Actor, ref, service string, in api.NodesChange, opKind api.OperationKind,
	change func(kind api.RoleKind, have, by int) (int, error),
) (api.Operation, error) {
	return d.operation(ctx, string(opKind), func(tx *store.Tx) (none store.NewOperation, err error) {
		s, err := findService(&tx.Read, a, ref, service, toOperate)
		if err != nil {
			return none, err
		}
		if s.Wanted != store.ServiceStarted {
			return none, api.Errorf(api.CodeConflict, "service %q is not started; start it with: cps service start %s %s", s.Name, ref, service)
		}
		if in.Cloud != "" && in.Cloud != s.Cloud {
			return none, api.InField("cloud", "service %q is on cloud %s; its machines cannot be on cloud %s", s.Name, s.Cloud, in.Cloud)
		}
		kind, ok := api.FindServiceKind(s.Type)
		if !ok {
			return none, api.Errorf(api.CodeUnsupported, "this director has no service type %s", s.Type)
		}
		nodes := maps.Clone(s.Nodes)
		for _, role := range sortedRoles(in.Nodes) {
			by := in.Nodes[role]
			row, ok := kind.FindRole(role)
			if !ok {
				return none, api.InField("nodes."+string(role), "service type %s has no such role; there are: %s", s.Type, roleList(kind))
			}
			if by < 1 || by > mostNodes {
				return none, api.InField("nodes."+string(role), "want a number of machines from 1 to %d, not %d", mostNodes, by)
			}
			if nodes[role], err = change(row, nodes[role], by); err != nil {
				return none, err
			}
		}
		if len(in.Nodes) == 0 {
			return none, api.InField("nodes", "name a role and a number of machines, for example --%s 1", kind.Roles[0].Role)
		}
		after := s
		after.Nodes = nodes
		if err := checkRoles(after); err != nil {
			return none, err
		}
		if err := d.roomFor(tx, s, nodes); err != nil {
			return none, err
		}
		if _, err := tx.SetServiceNodes(s.Application, s.ID, nodes); err != nil {
			return none, err
		}
		if opKind == api.OpAddNodes {
			if err := needsPackages(tx, s); err != nil {
				return none, err
			}
			if err := affordable(tx, s.Application); err != nil {
				return none, err
			}
		}
		v, err := tx.Application(s.Application)
		return store.NewOperation{
			Kind: opKind, Application: v.ID, Service: s.ID, Revision: v.Revision, Params: params(nodesParams{Nodes: in.Nodes}),
		}, err
	})
}

// roomFor tells whether the service's part of the overlay has an address for each machine.
func (d *Director) roomFor(tx *store.Tx, s store.Service, nodes map[api.Role]int) error {
	v, err := tx.Application(s.Application)
	if err != nil {
		return err
	}
	plan, err := v.Plan()
	if err != nil {
		return err
	}
	total := 0
	for _, count := range nodes {
		total += count
	}
	if total > plan.AgentsPerService() {
		return api.Errorf(api.CodeQuota, "service %q would have %s, and the network %s has addresses for %d in a service (VPN_NETMASK = %d, VPN_SERVICE_BITS = %d); add another service, or lower one of the two for applications that are created then",
			s.Name, machines(total), plan.Prefix(), plan.AgentsPerService(), plan.Prefix().Bits(), plan.ServiceBits())
	}
	return nil
}

func roleList(kind api.ServiceKind) string {
	var names []string
	for _, r := range kind.RoleNames() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// ServiceNodes gives a page of the machines of a service.
func (d *Director) ServiceNodes(ctx context.Context, a Actor, ref, service string, p Page) (api.List[api.Node], error) {
	return d.nodePage(ctx, p, func(r *store.Read) (api.ApplicationID, api.ServiceID, error) {
		s, err := findService(r, a, ref, service, toView)
		return s.Application, s.ID, err
	})
}

// ApplicationNodes gives a page of all machines of an application, its manager's too.
func (d *Director) ApplicationNodes(ctx context.Context, a Actor, ref string, p Page) (api.List[api.Node], error) {
	return d.nodePage(ctx, p, func(r *store.Read) (api.ApplicationID, api.ServiceID, error) {
		v, err := findApplication(r, a, ref, toView)
		return v.ID, -1, err
	})
}

func (d *Director) nodePage(ctx context.Context, p Page, whose func(*store.Read) (api.ApplicationID, api.ServiceID, error)) (list api.List[api.Node], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	var nodes []store.Node
	err = d.store.View(ctx, func(r *store.Read) error {
		application, service, err := whose(r)
		if err != nil {
			return err
		}
		var next int64
		nodes, next, err = r.NodePage(application, service, page)
		list.Next = cursor(next)
		return err
	})
	list.Items = d.showNodes(nodes)
	return list, problem(err)
}

// Node gives one machine.
func (d *Director) Node(ctx context.Context, a Actor, id api.NodeID) (api.Node, error) {
	n, err := d.findNode(ctx, a, id, toView)
	if err != nil {
		return api.Node{}, err
	}
	out := d.showNodes([]store.Node{n})[0]
	if w := d.worker(n.Application); w != nil {
		if status := w.link.seen().status(id); status != nil {
			out.Health = status.Roles
		}
	}
	return out, nil
}

// node gives a node whoever owns it.
func (d *Director) node(ctx context.Context, id api.NodeID) (n store.Node, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		n, err = r.Node(id)
		return err
	})
	return n, err
}

func (d *Director) showNodes(nodes []store.Node) []api.Node {
	seen := make(map[api.ApplicationID]observed)
	out := make([]api.Node, len(nodes))
	for i, n := range nodes {
		out[i] = api.Node{
			ID: n.ID, Application: n.Application, Service: n.Service, Role: n.Role, State: n.State, Reason: n.Reason,
			Since: n.Since, Created: n.Created, Cloud: n.Cloud, Machine: n.Machine, Overlay: n.Overlay,
			Runtime: n.Runtime, DataPlane: n.DataPlane, Attempt: n.Attempt, Version: n.Version,
		}
		if n.Address.IsValid() {
			out[i].Address = n.Address.String()
		}
		o, ok := seen[n.Application]
		if w := d.worker(n.Application); !ok && w != nil {
			o = w.link.seen()
			seen[n.Application] = o
		}
		if h := o.health[n.ID]; h.Connected && h.Status == nil { // nothing was recorded of it
			out[i].Reason = h.Reason
		}
		if o.node == n.ID && o.version != "" {
			out[i].Reason = o.version
		}
		if status := o.status(n.ID); status != nil {
			for _, r := range status.Roles {
				out[i].Roles = append(out[i].Roles, r.Role)
			}
		}
	}
	return out
}

// Exec runs a command on a machine and gives its output as it comes.
func (d *Director) Exec(ctx context.Context, a Actor, id api.NodeID, in api.ExecRequest) (iter.Seq2[api.ExecFrame, error], error) {
	if len(in.Command) == 0 {
		return nil, api.InField("command", "name a program, for example: cps node exec %s -- uptime", id)
	}
	client, v, err := d.managerOfNode(ctx, a, id, toOperate)
	if err != nil {
		return nil, err
	}
	// What is run is on record before it runs.
	err = d.store.Update(ctx, "node.exec", func(tx *store.Tx) error {
		tx.Ran(in.Command)
		return nil
	})
	if err != nil {
		return nil, problem(err)
	}
	return func(yield func(api.ExecFrame, error) bool) {
		ctx, end := d.whileReachable(ctx, a, stillApplication(a, v.ID, toOperate))
		defer end()
		for frame, err := range client.Exec(ctx, d.epoch(v), id, in) {
			if !yield(frame, saidByManager(ctx, v, err)) {
				return
			}
		}
	}, nil
}

// saidByManager makes of the error of a call to a manager what a user may see.
func saidByManager(ctx context.Context, v store.Application, err error) error {
	return wire.Passed(ctx, fmt.Sprintf("the manager of application %q", v.Name), err)
}

// NodeLog gives a log of a machine as text; name "" is the agent's own, and the manager's on its machine.
func (d *Director) NodeLog(ctx context.Context, a Actor, id api.NodeID, name string, part manager.LogRange) (io.ReadCloser, error) {
	client, v, err := d.managerOfNode(ctx, a, id, toView)
	if err != nil {
		return nil, err
	}
	return d.reachableLog(ctx, a, v, func(ctx context.Context) (io.ReadCloser, error) {
		if w := d.worker(v.ID); w != nil && w.link.seen().node == id {
			return client.Log(ctx, d.epoch(v), part)
		}
		return client.NodeLog(ctx, d.epoch(v), id, name, part)
	})
}

func (d *Director) managerOfNode(ctx context.Context, a Actor, id api.NodeID, need need) (*manager.Client, store.Application, error) {
	n, err := d.findNode(ctx, a, id, need)
	if err != nil {
		return nil, store.Application{}, err
	}
	v, err := d.find(ctx, a, n.Application.String(), need)
	if err != nil {
		return nil, v, err
	}
	client, err := d.managerOf(v)
	return client, v, err
}

// Console gives what a machine has printed on its console.
func (d *Director) Console(ctx context.Context, a Actor, id api.NodeID) (io.ReadCloser, error) {
	n, err := d.findNode(ctx, a, id, toOperate)
	if err != nil {
		return nil, err
	}
	text, err := d.console(ctx, n)
	if err != nil {
		return nil, err
	}
	return text, nil
}

func (d *Director) console(ctx context.Context, n store.Node) (io.ReadCloser, error) {
	p, err := d.place(n.Cloud)
	if err != nil {
		return nil, err
	}
	c, ok := p.provider.(cloud.Console)
	if !ok {
		return nil, api.Errorf(api.CodeUnsupported, "cloud %s has no consoles", n.Cloud)
	}
	if n.Machine == "" {
		return nil, api.Errorf(api.CodeConflict, "node %s has no machine yet", n.ID)
	}
	text, err := c.Console(ctx, cloud.MachineID(n.Machine))
	if cloud.KindOf(err) == cloud.KindNotFound {
		return nil, api.Errorf(api.CodeNotFound, "the cloud does not know the machine of node %s any more", n.ID)
	}
	return text, err
}
