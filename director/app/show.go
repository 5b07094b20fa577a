package app

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/store"
)

// show records the states that people see, publishes endpoints, and forgets what was to be removed.
func (w *worker) show(ctx context.Context, s *snapshot, seen observed, _ *deadline) error {
	for i := range s.services {
		if err := w.showService(ctx, s, &s.services[i], seen); err != nil {
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

func (w *worker) showService(ctx context.Context, s *snapshot, v *store.Service, seen observed) error {
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
		return w.publish(ctx, s, status.Endpoints)
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
// machine is on its way in or out.
func (w *worker) serviceSettled(s *snapshot, v store.Service, seen observed) bool {
	nodes := nodesOf(s.nodes, v.ID)
	if v.Wanted != store.ServiceStarted {
		return len(nodes) == 0
	}
	status, ok := seen.services[v.ID]
	if !ok || seen.revision != s.application.Revision || status.State != api.StateRunning || v.CodeWanted != v.CodeServing {
		return false
	}
	return !slices.ContainsFunc(nodes, func(n store.Node) bool { return n.State != api.NodeReady })
}

// mostPorts bounds the ports of one machine that are published, whatever a manager reports.
const mostPorts = 8

// publish makes endpoints reachable for people, where the cloud has something to do for that.
func (w *worker) publish(ctx context.Context, s *snapshot, endpoints []api.Endpoint) error {
	for _, e := range endpoints {
		i := slices.IndexFunc(s.nodes, func(n store.Node) bool { return n.ID == e.Node })
		if i < 0 || s.nodes[i].Machine == "" || s.nodes[i].Published[e.Port] != "" || len(s.nodes[i].Published) >= mostPorts {
			continue
		}
		n := s.nodes[i]
		p, ok := w.d.places[n.Cloud]
		if !ok {
			continue
		}
		address, err := reach(ctx, p, n, e.Port)
		if err != nil {
			w.log.Warn("an endpoint could not be published", "node", n.ID, "port", e.Port, "err", err)
			continue
		}
		published := map[uint16]string{e.Port: address}
		for port, address := range n.Published {
			published[port] = address
		}
		err = w.d.store.Update(ctx, "node.published", func(tx *store.Tx) (err error) {
			n, err = tx.UpdateNode(n.ID, store.NodeChange{Published: published})
			return err
		})
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		s.nodes[i] = n
	}
	return nil
}

// reach gives host:port at which people reach a port of a machine.
func reach(ctx context.Context, p *place, n store.Node, port uint16) (address string, err error) {
	publisher, ok := p.provider.(cloud.Publisher)
	if !ok {
		host := n.Public
		if !host.IsValid() {
			host = n.Address
		}
		return host.String() + ":" + strconv.Itoa(int(port)), nil
	}
	err = p.call(ctx, func(ctx context.Context) error {
		addresses, err := publisher.Publish(ctx, cloud.MachineID(n.Machine), []uint16{port})
		address = addresses[port]
		return err
	})
	return address, err
}
