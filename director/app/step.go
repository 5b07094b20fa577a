package app

import (
	"context"
	"errors"
	"slices"

	"conpaas/client/api"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// nodeStep is an event of a node that a stage of a round asks for; without an event only what was learnt is recorded.
type nodeStep struct {
	node   api.NodeID
	event  life.NodeEvent
	change store.NodeChange
}

// step changes a node's state when the stage ends.
func (w *worker) step(id api.NodeID, event life.NodeEvent, c store.NodeChange) {
	w.steps = append(w.steps, nodeStep{node: id, event: event, change: c})
}

// commit writes the steps of a stage in one transaction: a hundred machines that boot at once wait for one turn to write, and
// the manager hears of all of them together. A step that has been overtaken by another event is no error.
func (w *worker) commit(ctx context.Context, s *snapshot) error {
	steps := w.steps
	w.steps = nil
	if len(steps) == 0 {
		return nil
	}
	name := "node." + string(steps[0].event)
	if steps[0].event == "" {
		name = "node.trust"
	}
	var nodes []store.Node
	err := w.d.store.Update(ctx, name, func(tx *store.Tx) error {
		nodes = nil
		for _, step := range steps {
			n, err := step.write(tx)
			switch {
			case errors.Is(err, errTooLate):
				w.log.Debug("a node's event came too late", "node", step.node, "event", step.event, "err", err)
			case err != nil:
				return err
			default:
				nodes = append(nodes, n)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.changed = true
	for _, n := range nodes {
		s.set(n)
	}
	if slices.ContainsFunc(steps, func(step nodeStep) bool { return step.change.Trust != "" }) {
		w.d.lookCA()
	}
	return nil
}

var errTooLate = errors.New("too late")

func (s nodeStep) write(tx *store.Tx) (n store.Node, err error) {
	if s.event == "" {
		n, err = tx.UpdateNode(s.node, s.change)
	} else {
		n, err = tx.Step(s.node, s.event, s.change)
	}
	gone := s.event == "" && errors.Is(err, store.ErrConflict)
	if gone || errors.Is(err, life.ErrTransition) || errors.Is(err, store.ErrNotFound) {
		return n, errors.Join(errTooLate, err)
	}
	return n, err
}
