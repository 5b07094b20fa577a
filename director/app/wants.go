package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"conpaas/client/api"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// wants makes and unmakes nodes: those that nobody wants any more are deleted, a running application has a
// manager, and what the manager's plan asks for is reserved, drained and deleted when it is allowed.
func (w *worker) wants(ctx context.Context, s *snapshot, seen observed, next *deadline) error {
	if s.application.Wanted != store.ApplicationRunning {
		for _, n := range s.nodes {
			w.delete(n)
		}
		return nil
	}
	for _, n := range s.nodes {
		if n.State == api.NodeFailed {
			w.failed(n.Service, n.Reason)
			w.delete(n)
		}
	}
	if err := w.commit(ctx, s); err != nil { // what follows looks for those that act
		return err
	}
	manager, ok := s.manager()
	if !ok {
		return w.reserveManager(ctx, s, next)
	}
	if seen.node != manager.ID || seen.plan == nil || seen.plan.Revision != s.application.Revision {
		return nil
	}
	return w.follow(ctx, s, seen, next)
}

func (w *worker) delete(n store.Node) {
	if n.State != api.NodeDeleting {
		w.step(n.ID, life.NodeDelete, store.NodeChange{Reason: n.Reason})
	}
}

// failed counts a failure of a service's machine: the next one waits longer.
func (w *worker) failed(service api.ServiceID, reason string) {
	f := w.failures[service]
	if f == nil {
		f = &failures{}
		w.failures[service] = f
	}
	f.count++
	f.last = reason
	f.until = time.Now().Add(min(time.Second<<min(f.count-1, 10), time.Minute))
}

// paused tells whether a service must wait before it gets another machine.
func (w *worker) paused(service api.ServiceID, next *deadline) bool {
	f := w.failures[service]
	if f == nil || f.count < 2 || !next.now.Before(f.until) {
		return false
	}
	next.at(f.until)
	return true
}

func (w *worker) reserveManager(ctx context.Context, s *snapshot, next *deadline) error {
	if w.paused(0, next) {
		return nil
	}
	var n store.Node
	err := w.d.store.Update(ctx, "manager.reserved", func(tx *store.Tx) (err error) {
		if n, err = tx.ReserveManager(w.id, s.application.Cloud, w.d.limits(s.application.Cloud)); err != nil {
			return err
		}
		s.application, err = tx.Application(w.id)
		return err
	})
	if errors.Is(err, store.ErrCredit) {
		return w.unpaid(ctx, s)
	}
	if errors.Is(err, store.ErrQuota) {
		w.failed(0, err.Error())
		w.failures[0].count = max(w.failures[0].count, 2)
		next.at(w.failures[0].until)
		return nil
	}
	if err != nil {
		return err
	}
	s.set(n)
	return nil
}

// unpaid stops the application: its owner cannot pay even for the manager.
func (w *worker) unpaid(ctx context.Context, s *snapshot) error {
	s.changed = true
	return w.d.store.Update(ctx, "credit.unpaid", func(tx *store.Tx) error { return tx.StopUnpaid(w.id) })
}

// failUnpaid ends the operations that start what the owner cannot pay for: they would wait in vain. One that adds nodes goes without.
func (w *worker) failUnpaid(ctx context.Context, s *snapshot, service api.ServiceID, reason string) error {
	for _, op := range s.operations {
		if op.Kind != api.OpApplicationStart && (op.Kind != api.OpServiceStart || op.Service != service) {
			continue
		}
		if err := w.endOperation(ctx, op, life.OperationFail, &store.Failure{Code: api.CodeCredit, Detail: reason}); err != nil {
			return err
		}
	}
	return nil
}

// follow does what the manager's plan asks for, as far as the director allows it.
func (w *worker) follow(ctx context.Context, s *snapshot, seen observed, next *deadline) error {
	for _, service := range s.services {
		plan, planned := seen.service(service.ID)
		if service.Wanted != store.ServiceStarted {
			plan.Wanted = nil
			if !planned { // the manager does not know it: nothing runs that could be drained
				for _, n := range nodesOf(s.nodes, service.ID) {
					plan.Delete = append(plan.Delete, n.ID)
				}
			}
		} else if !planned {
			continue
		}
		steps, refusal := checkPlan(service, nodesOf(s.nodes, service.ID), plan, seen.health)
		if refusal != "" && refusal != w.refused {
			w.refused = refusal
			w.log.Warn("the manager's plan is refused in part", "service", service.ID, "reason", refusal)
		}
		for _, id := range steps.drain {
			w.step(id, life.NodeDrain, store.NodeChange{})
		}
		for _, id := range steps.remove {
			w.step(id, life.NodeDelete, store.NodeChange{})
		}
		if len(steps.reserve) == 0 || w.paused(service.ID, next) {
			continue
		}
		if err := w.reserve(ctx, s, service, steps.reserve, next); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) reserve(ctx context.Context, s *snapshot, service store.Service, wanted map[api.Role]int, next *deadline) error {
	var made []store.Node
	err := w.d.store.Update(ctx, "nodes.reserved", func(tx *store.Tx) error {
		made = nil
		for role, count := range wanted {
			nodes, err := tx.ReserveNodes(store.Reservation{
				Application: w.id, Service: service.ID, Role: role, Cloud: service.Cloud, Count: count, Limits: w.d.limits(service.Cloud),
			})
			if err != nil {
				return err
			}
			made = append(made, nodes...)
		}
		return nil
	})
	switch {
	case errors.Is(err, store.ErrQuota), errors.Is(err, store.ErrCredit):
		w.failed(service.ID, err.Error())
		if errors.Is(err, store.ErrCredit) {
			if err := w.failUnpaid(ctx, s, service.ID, err.Error()); err != nil {
				return err
			}
		}
		next.at(w.failures[service.ID].until)
		total := 0
		for _, count := range wanted {
			total += count
		}
		return w.giveUp(ctx, s, service.ID, wanted, fmt.Sprintf("%d machines: %v", total, err))
	case errors.Is(err, store.ErrConflict): // stopped meanwhile: the next round sees it
		s.changed = true
		return nil
	case err != nil:
		return err
	}
	for _, n := range made {
		s.set(n)
	}
	return nil
}

func nodesOf(nodes []store.Node, service api.ServiceID) []store.Node {
	var of []store.Node
	for _, n := range nodes {
		if n.Service == service {
			of = append(of, n)
		}
	}
	return of
}

// limits are those on machines of a cloud.
func (d *Director) limits(cloud string) store.Limits {
	l := store.Limits{Total: d.config.MaxVMs}
	if p, ok := d.places[cloud]; ok {
		l.Cloud = p.maxVMs
	}
	return l
}
