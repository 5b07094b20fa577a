package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"conpaas/client/api"
	"conpaas/client/manager"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// Actor is the user on whose behalf a use case runs.
type Actor struct {
	ID    api.UserID
	Name  string
	Admin bool

	Credential string // by what it is known, for people; "" where that does not matter
	TokenHash  string // of the token by which it is known; "": by another
	Serial     string // of the certificate by which it is known; "": by another
}

// defaultCloud is the cloud of [iaas].
const defaultCloud = "default"

// Applications gives a page of the applications that the actor owns or that are shared with it.
func (d *Director) Applications(ctx context.Context, a Actor, p Page) (list api.List[api.Application], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		applications, levels, next, err := r.ReachableApplications(a.ID, page)
		if err != nil {
			return err
		}
		list.Next = cursor(next)
		list.Items, err = showApplications(r, applications)
		for i, v := range list.Items {
			list.Items[i].Shared = levels[v.ID]
		}
		return err
	})
	return list, problem(err)
}

// showApplications completes what lists show of applications.
func showApplications(r *store.Read, applications []store.Application) ([]api.Application, error) {
	ids, owners := make([]api.ApplicationID, len(applications)), make([]api.UserID, len(applications))
	for i, v := range applications {
		ids[i], owners[i] = v.ID, v.Owner
	}
	facts, err := r.ApplicationFacts(ids)
	if err != nil {
		return nil, err
	}
	names, err := r.UserNames(owners)
	items := make([]api.Application, len(applications))
	for i, v := range applications {
		items[i] = showApplication(v, names[v.Owner], facts[v.ID])
	}
	return items, err
}

func showApplication(v store.Application, owner string, f store.ApplicationFacts) api.Application {
	return api.Application{
		ID: v.ID, Name: v.Name, Owner: owner, Cloud: v.Cloud, State: v.State, Reason: v.Reason, Since: v.Since, Created: v.Created,
		Revision: v.Revision, Manager: f.Manager, Services: f.Services, Network: v.Prefix.String(),
	}
}

// Application gives one application.
func (d *Director) Application(ctx context.Context, a Actor, ref string) (out api.Application, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		v, level, err := findHeld(r, a, ref, toView)
		if err != nil {
			return err
		}
		items, err := showApplications(r, []store.Application{v})
		if err == nil {
			out = items[0]
			out.Shared = level
		}
		return err
	})
	return out, problem(err)
}

// CreateApplication adds an application; it has no machine until it is started.
func (d *Director) CreateApplication(ctx context.Context, a Actor, in api.ApplicationCreate) (api.Application, error) {
	if err := checkName(in.Name); err != nil {
		return api.Application{}, err
	}
	if in.Cloud == "" {
		in.Cloud = defaultCloud
	}
	if _, err := d.place(in.Cloud); err != nil {
		return api.Application{}, err
	}
	var v store.Application
	err := d.store.Update(ctx, "application.created", func(tx *store.Tx) (err error) {
		v, err = tx.CreateApplication(store.NewApplication{
			Owner: a.ID, Name: in.Name, Cloud: in.Cloud, Prefix: d.config.Plan.Prefix(), ServiceBits: d.config.Plan.ServiceBits(),
		})
		return err
	})
	return showApplication(v, a.Name, store.ApplicationFacts{}), taken(err, "application", in.Name)
}

// RenameApplication gives an application another name.
func (d *Director) RenameApplication(ctx context.Context, a Actor, ref, name string) (api.Application, error) {
	if err := checkName(name); err != nil {
		return api.Application{}, err
	}
	var id api.ApplicationID
	err := d.store.Update(ctx, "application.renamed", func(tx *store.Tx) error {
		v, err := findApplication(&tx.Read, a, ref, toOwn)
		if err != nil {
			return err
		}
		id = v.ID
		_, err = tx.RenameApplication(v.ID, name)
		return err
	})
	if err != nil {
		return api.Application{}, taken(err, "application", name)
	}
	d.wakeFor(ctx, id)
	return d.Application(ctx, a, id.String())
}

// StartApplication wants the application running: its manager, and the services that were not stopped.
func (d *Director) StartApplication(ctx context.Context, a Actor, ref string) (api.Operation, error) {
	return d.wantApplication(ctx, a, ref, api.OpApplicationStart, store.ApplicationRunning, toOperate)
}

// StopApplication removes all machines of the application and keeps the rest.
func (d *Director) StopApplication(ctx context.Context, a Actor, ref string) (api.Operation, error) {
	return d.wantApplication(ctx, a, ref, api.OpApplicationStop, store.ApplicationStopped, toOperate)
}

// DeleteApplication removes the application with all that belongs to it.
func (d *Director) DeleteApplication(ctx context.Context, a Actor, ref string) (api.Operation, error) {
	return d.wantApplication(ctx, a, ref, api.OpApplicationDelete, store.ApplicationDeleted, toOwn)
}

func (d *Director) wantApplication(ctx context.Context, a Actor, ref string, kind api.OperationKind, wanted store.ApplicationWanted, n need) (api.Operation, error) {
	return d.operation(ctx, string(kind), func(tx *store.Tx) (store.NewOperation, error) {
		v, err := findApplication(&tx.Read, a, ref, n)
		if err != nil {
			return store.NewOperation{}, err
		}
		if wanted == store.ApplicationStopped && v.State == api.StateInit {
			return store.NewOperation{}, api.Errorf(api.CodeConflict, "application %q has never been started", v.Name)
		}
		op, err := wantIn(tx, v.ID, kind, wanted)
		if err == nil && wanted == store.ApplicationRunning {
			err = affordable(tx, v.ID)
		}
		return op, err
	})
}

// wantIn writes what is wanted of an application, and gives the operation that waits for it.
func wantIn(tx *store.Tx, id api.ApplicationID, kind api.OperationKind, wanted store.ApplicationWanted) (store.NewOperation, error) {
	v, err := tx.SetApplicationWanted(id, wanted)
	if err != nil {
		return store.NewOperation{}, err
	}
	if err := supersede(tx, id, 0, kind); err != nil {
		return store.NewOperation{}, err
	}
	return store.NewOperation{Owner: v.Owner, Kind: kind, Application: id, Revision: v.Revision}, nil
}

// supersede cancels the open operations whose end a stop or a removal makes impossible: of the service, or of the whole
// application where service is 0. Operations of the same kind go on: they end together.
func supersede(tx *store.Tx, application api.ApplicationID, service api.ServiceID, kind api.OperationKind) error {
	if growing(kind) || kind == api.OpRemoveNodes {
		return nil
	}
	open, err := tx.OpenOperations(application)
	if err != nil {
		return err
	}
	for _, op := range open {
		if op.Kind == kind || service != 0 && op.Service != service {
			continue
		}
		_, err := tx.StepOperation(op.ID, life.OperationCancel, &store.Failure{Code: api.CodeConflict, Detail: "superseded by " + string(kind)})
		if err != nil {
			return err
		}
	}
	return nil
}

// operation writes what is wanted and the operation that waits for it in one transaction, and wakes the worker.
func (d *Director) operation(ctx context.Context, name string, change func(tx *store.Tx) (store.NewOperation, error)) (api.Operation, error) {
	var op api.Operation
	err := d.store.Update(ctx, name, func(tx *store.Tx) error {
		n, err := change(tx)
		if err != nil {
			return err
		}
		created, err := tx.CreateOperation(n)
		if err != nil {
			return err
		}
		op, err = showOperation(&tx.Read, created)
		return err
	})
	if err != nil {
		return api.Operation{}, problem(err)
	}
	d.wakeFor(ctx, op.Application)
	return op, nil
}

// Network gives the overlay of an application with what its nodes report of their peers.
func (d *Director) Network(ctx context.Context, a Actor, ref string) (api.ApplicationNetwork, error) {
	v, err := d.find(ctx, a, ref, toView)
	if err != nil {
		return api.ApplicationNetwork{}, err
	}
	var nodes []store.Node
	err = d.store.View(ctx, func(r *store.Read) error {
		nodes, err = r.LiveNodes(v.ID)
		return err
	})
	if err != nil {
		return api.ApplicationNetwork{}, problem(err)
	}
	out := api.ApplicationNetwork{Network: d.network(v), Nodes: []api.NodeNetwork{}}
	var seen observed
	if w := d.worker(v.ID); w != nil {
		seen = w.link.seen()
	}
	for _, n := range nodes {
		if !acts(n) {
			continue
		}
		end := api.NodeNetwork{Node: n.ID, Address: n.Overlay, DataPlane: n.DataPlane, Peers: []api.PeerStatus{}}
		if status := seen.status(n.ID); status != nil {
			end.Peers = append(end.Peers, status.Overlay...)
		}
		end.Peers = d.showSplice(n.ID, seen.node, end.Peers)
		out.Nodes = append(out.Nodes, end)
	}
	return out, nil
}

// status gives what a node says of itself, nil when nothing is known.
func (o observed) status(id api.NodeID) *api.NodeStatus {
	if id == o.node {
		return o.self
	}
	return o.health[id].Status
}

// ApplicationLog gives the log of the application's manager as text.
func (d *Director) ApplicationLog(ctx context.Context, a Actor, ref string, part manager.LogRange) (io.ReadCloser, error) {
	v, err := d.find(ctx, a, ref, toView)
	if err != nil {
		return nil, err
	}
	client, err := d.managerOf(v)
	if err != nil {
		return nil, err
	}
	return d.reachableLog(ctx, a, v, func(ctx context.Context) (io.ReadCloser, error) { return client.Log(ctx, d.epoch(v), part) })
}

// reachableLog opens a log of an application, which is cut when the actor may not view it any more.
func (d *Director) reachableLog(ctx context.Context, a Actor, v store.Application, open func(context.Context) (io.ReadCloser, error)) (io.ReadCloser, error) {
	ctx, end := d.whileReachable(ctx, a, stillApplication(a, v.ID, toView))
	text, err := open(ctx)
	if err != nil {
		end()
		return nil, saidByManager(ctx, v, err)
	}
	return &reachable{text, end}, nil
}

// reachable is a text that is read while whileReachable lets it.
type reachable struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (t *reachable) Close() error {
	defer t.end()
	return t.ReadCloser.Close()
}

// managerOf gives the client of the connected manager.
func (d *Director) managerOf(v store.Application) (*manager.Client, error) {
	if w := d.worker(v.ID); w != nil {
		w.link.mu.Lock()
		defer w.link.mu.Unlock()
		if w.link.client != nil && w.link.acked != nil {
			return w.link.client, nil
		}
	}
	if v.Wanted != store.ApplicationRunning {
		return nil, api.Errorf(api.CodeConflict, "application %q is not running; start it with: cps application start %s", v.Name, v.Name)
	}
	return nil, api.Errorf(api.CodeUnavailable, "the manager of application %q is not connected now; try again", v.Name)
}

// params is the JSON of an operation's parameters.
func params(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings to numbers always marshal
	}
	return data
}

// sortedRoles gives the roles of a change in a fixed order.
func sortedRoles(nodes map[api.Role]int) []api.Role {
	roles := make([]api.Role, 0, len(nodes))
	for role := range nodes {
		roles = append(roles, role)
	}
	slices.Sort(roles)
	return roles
}

// notFound tells whether the thing is unknown.
func notFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
