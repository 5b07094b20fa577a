package app

import (
	"context"
	"slices"

	"conpaas/client/api"
	"conpaas/director/store"
)

// show records the states that people see, publishes endpoints, and forgets what was to be removed.
func (w *worker) show(ctx context.Context, s *snapshot, seen observed, next *deadline) error {
	for i := range s.services {
		if err := w.showService(ctx, s, &s.services[i], seen, next); err != nil {
			return err
		}
	}
	s.services = slices.DeleteFunc(s.services, func(v store.Service) bool {
		return v.Wanted == store.ServiceRemoved && len(nodesOf(s.nodes, v.ID)) == 0
	})
	state, reason := w.applicationState(s, seen)
	if state != s.application.State || reason != s.application.Reason {
		err := w.d.store.Update(ctx, "application.state", func(tx *store.Tx) error { return tx.SetApplicationState(w.id, state, reason) })
		if err != nil {
			return err
		}
		s.application.State, s.application.Reason = state, reason
	}
	if s.application.Settled < s.application.Revision && w.settled(s, seen) {
		err := w.d.store.Update(ctx, "application.settled", func(tx *store.Tx) error { return tx.SetSettled(w.id, s.application.Revision) })
		if err != nil {
			return err
		}
		s.application.Settled = s.application.Revision
	}
	return nil
}

func (w *worker) showService(ctx context.Context, s *snapshot, v *store.Service, seen observed, next *deadline) error {
	machines := len(nodesOf(s.nodes, v.ID))
	if v.Wanted == store.ServiceRemoved && machines == 0 {
		err := w.d.store.Update(ctx, "service.purged", func(tx *store.Tx) error { return tx.PurgeService(w.id, v.ID) })
		if err == nil && v.CodeWanted != "" {
			w.d.pruneBlobs(ctx)
		}
		return err
	}
	state, reason := w.serviceState(s, *v, machines, seen)
	if state != v.State || reason != v.Reason {
		err := w.d.store.Update(ctx, "service.state", func(tx *store.Tx) error { return tx.SetServiceState(w.id, v.ID, state, reason) })
		if err != nil {
			return err
		}
		v.State, v.Reason = state, reason
	}
	if status, ok := seen.services[v.ID]; ok {
		w.publish(s, status.Endpoints, next)
	}
	return nil
}

func (w *worker) serviceState(s *snapshot, v store.Service, machines int, seen observed) (api.State, string) {
	running := s.application.Wanted == store.ApplicationRunning && v.Wanted == store.ServiceStarted
	switch {
	case !running && machines > 0:
		return api.StateEpilogue, ""
	case !running && v.State == api.StateInit:
		return api.StateInit, ""
	case !running:
		return api.StateStopped, ""
	}
	if f := w.failures[v.ID]; f != nil && f.count >= failuresAllowed {
		return api.StateError, f.last
	}
	status, ok := seen.services[v.ID]
	if ok && seen.revision == s.application.Revision {
		return status.State, status.Reason
	}
	if v.State == api.StateInit || v.State == api.StateStopped || v.State == api.StateEpilogue {
		return api.StatePrologue, ""
	}
	if v.State == api.StateRunning && seen.services != nil { // a manager that has just connected has said nothing yet
		return api.StateAdapting, ""
	}
	return v.State, v.Reason // nobody can tell more until the manager is back
}

func (w *worker) applicationState(s *snapshot, seen observed) (api.State, string) {
	a := s.application
	if a.Wanted != store.ApplicationRunning {
		switch {
		case len(s.nodes) > 0:
			return api.StateEpilogue, ""
		case a.State == api.StateInit:
			return api.StateInit, ""
		}
		return api.StateStopped, ""
	}
	manager, ok := s.manager()
	started := a.State == api.StateRunning || a.State == api.StateAdapting
	switch {
	case seen.version != "" && started:
		return api.StateAdapting, seen.version
	case seen.version != "":
		return api.StatePrologue, seen.version
	case ok && manager.State == api.NodeReady && seen.node == manager.ID:
		return api.StateRunning, ""
	case w.failures[0] != nil && w.failures[0].count >= failuresAllowed && !started:
		return api.StateError, w.failures[0].last
	case started && ok && manager.State == api.NodeReady:
		return a.State, a.Reason // it has not been silent for long: perhaps this director has just begun
	case started:
		return api.StateAdapting, "its manager is being replaced or has fallen silent; its services go on"
	}
	return api.StatePrologue, ""
}

// settled tells whether everything that is wanted is there.
func (w *worker) settled(s *snapshot, seen observed) bool {
	if s.application.Wanted != store.ApplicationRunning {
		return len(s.nodes) == 0
	}
	if s.application.State != api.StateRunning {
		return false
	}
	return !slices.ContainsFunc(s.services, func(v store.Service) bool { return !w.serviceSettled(s, v, seen) })
}

// serviceSettled tells whether a service is what its owner wants: the manager says so of the newest revision, and no
// machine is on its way in or out, or being published.
func (w *worker) serviceSettled(s *snapshot, v store.Service, seen observed) bool {
	nodes := nodesOf(s.nodes, v.ID)
	if v.Wanted != store.ServiceStarted {
		return len(nodes) == 0
	}
	status, ok := seen.services[v.ID]
	if !ok || seen.revision != s.application.Revision || status.State != api.StateRunning || v.CodeWanted != v.CodeServing {
		return false
	}
	return !slices.ContainsFunc(nodes, func(n store.Node) bool { return n.State != api.NodeReady || w.calls.underWay(n.ID) })
}
