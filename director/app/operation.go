package app

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"

	"conpaas/client/api"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// showOperation shows an operation; its owner is that of the application, whoever has asked for it.
func showOperation(r *store.Read, op store.Operation) (api.Operation, error) {
	names, err := r.UserNames([]api.UserID{op.Owner})
	return operationOf(op, names[op.Owner]), err
}

func operationOf(op store.Operation, owner string) api.Operation {
	out := api.Operation{
		ID: op.ID, Kind: op.Kind, Owner: owner, Application: op.Application, Service: op.Service, State: op.State,
		Revision: op.Revision, Created: op.Created, Progress: op.Progress,
	}
	if !op.Ended.IsZero() {
		out.Ended = &op.Ended
	}
	for _, s := range op.Steps {
		out.Steps = append(out.Steps, api.Step{Time: s.Time, Text: s.Text})
	}
	if op.Failure != nil {
		out.Error = api.Errorf(op.Failure.Code, "%s", op.Failure.Detail)
		out.Error.Field = op.Failure.Field
	}
	return out
}

// Operations gives a page of the operations of the applications that the actor owns or that are shared with it, of one
// application where ref is not empty.
func (d *Director) Operations(ctx context.Context, a Actor, ref string, p Page) (list api.List[api.Operation], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		var id api.ApplicationID
		if ref != "" {
			v, err := findApplication(r, a, ref, toView)
			if err != nil {
				return err
			}
			id = v.ID
		}
		operations, next, err := r.ReachableOperations(a.ID, id, page)
		if err != nil {
			return err
		}
		owners := make([]api.UserID, len(operations))
		for i, op := range operations {
			owners[i] = op.Owner
		}
		names, err := r.UserNames(owners)
		list.Items = make([]api.Operation, len(operations))
		for i, op := range operations {
			list.Items[i] = operationOf(op, names[op.Owner])
		}
		list.Next = cursor(next)
		return err
	})
	return list, problem(err)
}

// Operation gives one operation.
func (d *Director) Operation(ctx context.Context, a Actor, id api.OperationID) (out api.Operation, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		op, err := findOperation(r, a, id, toView)
		if err != nil {
			return err
		}
		out, err = showOperation(r, op)
		return err
	})
	return out, problem(err)
}

// WatchOperation gives an operation now and after each change until it has ended; nil now and then.
func (d *Director) WatchOperation(ctx context.Context, a Actor, id api.OperationID) iter.Seq2[*api.Operation, error] {
	return func(yield func(*api.Operation, error) bool) {
		ctx, end := d.whileReachable(ctx, a, func(r *store.Read) error {
			_, err := findOperation(r, a, id, toView)
			return err
		})
		defer end()
		changed, stop := d.feed.watch(string(id))
		defer stop()
		for {
			op, err := d.Operation(ctx, a, id)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(&op, nil) || op.State.Final() {
				return
			}
			if !await(ctx, changed, func() bool { return yield(nil, nil) }) {
				return
			}
		}
	}
}

// CancelOperation ends an operation. Machines that it has added and that are ready stay; the others are no longer
// wanted. A version that is being checked is no longer wanted, unless it gets requests already. An action is broken off. What removes or stops cannot
// be taken back.
func (d *Director) CancelOperation(ctx context.Context, a Actor, id api.OperationID) (out api.Operation, err error) {
	var op store.Operation
	err = d.store.Update(ctx, "operation.cancelled", func(tx *store.Tx) error {
		if op, err = findOperation(&tx.Read, a, id, toOperate); err != nil {
			return err
		}
		if op.State.Final() {
			return api.Errorf(api.CodeConflict, "operation %s has ended already: %s", id, op.State)
		}
		if !growing(op.Kind) && op.Kind != api.OpServiceCode && op.Kind != api.OpServiceAction && op.Kind != api.OpServiceCommand {
			return api.Errorf(api.CodeConflict, "operation %s (%s) cannot be cancelled; start or add again when it has ended", id, op.Kind)
		}
		switch op.Kind {
		case api.OpApplicationStart:
			_, err = tx.SetApplicationWanted(op.Application, store.ApplicationStopped)
		case api.OpServiceStart:
			_, err = tx.SetServiceWanted(op.Application, op.Service, store.ServiceStopped)
		case api.OpAddNodes:
			err = keepReady(tx, op)
		case api.OpServiceCode:
			err = d.keepCode(tx, op)
		}
		if err != nil {
			return err
		}
		if op, err = tx.StepOperation(id, life.OperationCancel, nil); err != nil {
			return err
		}
		out, err = showOperation(&tx.Read, op)
		return err
	})
	if err != nil {
		return out, problem(err)
	}
	d.actions.cancel(op.ID)
	d.wakeFor(ctx, op.Application)
	return out, nil
}

// keepReady wants no more machines than are ready, and no fewer than before the operation.
func keepReady(tx *store.Tx, op store.Operation) error {
	var params nodesParams
	if err := json.Unmarshal(op.Params, &params); err != nil {
		return fmt.Errorf("parameters of operation %s: %w", op.ID, err)
	}
	s, err := tx.Service(op.Application, op.Service)
	if err != nil {
		return err
	}
	nodes, err := tx.LiveNodes(op.Application)
	if err != nil {
		return err
	}
	ready := make(map[api.Role]int)
	for _, n := range nodesOf(nodes, s.ID) {
		if n.State == api.NodeReady {
			ready[n.Role]++
		}
	}
	without := lost(op)
	wanted := maps.Clone(s.Nodes)
	for role, added := range params.Nodes {
		before := wanted[role] - (added - without[role])
		wanted[role] = min(wanted[role], max(before, ready[role]))
	}
	if s.Nodes = wanted; packedRole(s) != "" {
		wanted[api.RoleProxy] = 1
	}
	_, err = tx.SetServiceNodes(s.Application, s.ID, wanted)
	return err
}
