package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// nodesParams is what an operation that adds or removes nodes remembers.
type nodesParams struct {
	Nodes map[api.Role]int `json:"nodes"`
}

// givenUp begins each step of an operation that tells of a machine it goes without.
const givenUp = "given up: "

// operate moves the open operations on: progress for those who wait, and the end when all is there.
func (w *worker) operate(ctx context.Context, s *snapshot, seen observed, next *deadline) error {
	if s.application.Wanted == store.ApplicationDeleted && len(s.nodes) == 0 && len(s.volumes) == 0 {
		return w.purge(ctx)
	}
	for _, op := range s.operations {
		if op.State == api.OperationPending {
			if err := w.endOperation(ctx, op, life.OperationStart, nil); err != nil {
				return err
			}
		}
		event, failure := w.outcome(s, seen, op, next)
		if event != "" {
			if err := w.endOperation(ctx, op, event, failure); err != nil {
				return err
			}
			if event == life.OperationFail && onVolume(op.Kind) {
				if err := w.takeBack(ctx, s, op); err != nil {
					return err
				}
			}
			continue
		}
		if progress := w.progressOf(s, op); progress != op.Progress {
			err := w.d.store.Update(ctx, "operation.progress", func(tx *store.Tx) error {
				_, err := tx.NoteOperation(op.ID, progress, "")
				return err
			})
			if err != nil && !errors.Is(err, store.ErrConflict) {
				return err
			}
			w.d.feed.changed(string(op.ID))
		}
	}
	return nil
}

// purge forgets the application and ends the operations that wait for that, at once.
func (w *worker) purge(ctx context.Context) error {
	err := w.d.store.Update(ctx, "application.purged", func(tx *store.Tx) error {
		open, err := tx.OpenOperations(w.id) // one may have come since the round began
		if err != nil {
			return err
		}
		for _, op := range open {
			if op.State == api.OperationPending {
				if _, err := tx.StepOperation(op.ID, life.OperationStart, nil); err != nil {
					return err
				}
			}
			if _, err := tx.StepOperation(op.ID, life.OperationSucceed, nil); err != nil {
				return err
			}
		}
		return tx.PurgeApplication(w.id)
	})
	if err != nil {
		return err
	}
	w.d.pruneBlobs(ctx)
	return errPurged
}

func (w *worker) endOperation(ctx context.Context, op store.Operation, event life.OperationEvent, failure *store.Failure) error {
	err := w.d.store.Update(ctx, "operation."+string(event), func(tx *store.Tx) error {
		_, err := tx.StepOperation(op.ID, event, failure)
		return err
	})
	if errors.Is(err, life.ErrTransition) { // cancelled meanwhile
		return nil
	}
	return err
}

// outcome gives the event that ends an operation, "" while it goes on.
func (w *worker) outcome(s *snapshot, seen observed, op store.Operation, next *deadline) (life.OperationEvent, *store.Failure) {
	if onVolume(op.Kind) {
		return w.volumeOutcome(s, op, next)
	}
	i := slices.IndexFunc(s.services, func(v store.Service) bool { return v.ID == op.Service })
	done := false
	switch op.Kind {
	case api.OpApplicationStart:
		done = s.application.Revision >= op.Revision && w.settled(s, seen)
	case api.OpApplicationStop:
		done = len(s.nodes) == 0
	case api.OpServiceRemove:
		done = i < 0
	case api.OpServiceStart, api.OpServiceStop, api.OpAddNodes, api.OpRemoveNodes:
		if i < 0 {
			return life.OperationCancel, &store.Failure{Code: api.CodeConflict, Detail: "the service was removed meanwhile"}
		}
		done = seen.revision >= op.Revision && w.serviceSettled(s, s.services[i], seen)
		if op.Kind == api.OpServiceStop {
			done = w.serviceSettled(s, s.services[i], seen)
		}
	case api.OpServiceAction:
		return w.actionOutcome(op, next)
	case api.OpServiceCommand:
		if i < 0 {
			return life.OperationCancel, &store.Failure{Code: api.CodeConflict, Detail: "the service was removed meanwhile"}
		}
		return commandOutcome(s, s.services[i], seen, op)
	case api.OpServiceCode, api.OpServiceConfigure:
		if i < 0 {
			return life.OperationCancel, &store.Failure{Code: api.CodeConflict, Detail: "the service was removed meanwhile"}
		}
		if op.Kind == api.OpServiceCode {
			if event, failure := w.codeOutcome(s, s.services[i], seen, op); event != "" {
				return event, failure
			}
			break
		}
		done = !runs(s, s.services[i]) || seen.revision >= op.Revision && w.serviceSettled(s, s.services[i], seen)
	}
	if done {
		return finished(op)
	}
	if f := w.failures[op.Service]; f != nil && f.count >= failuresAllowed && growing(op.Kind) {
		return life.OperationFail, &store.Failure{Code: api.CodeUnavailable, Detail: fmt.Sprintf("%s failed one after another; the last: %s", machines(f.count), f.last)}
	}
	if i >= 0 && s.services[i].State == api.StateError && (growing(op.Kind) || op.Kind == api.OpServiceCode || op.Kind == api.OpServiceConfigure) {
		limit := w.patience.waiting("operation "+string(op.ID), next.now).Add(errorPatience)
		if !next.now.Before(limit) {
			return life.OperationFail, &store.Failure{Code: api.CodeUnavailable, Detail: "the service does not work: " + s.services[i].Reason}
		}
		next.at(limit)
	}
	return "", nil
}

// errorPatience is how long a service may be in ERROR before an operation on it gives up waiting.
const errorPatience = time.Minute

// growing tells whether the operation needs machines.
func growing(kind api.OperationKind) bool {
	return kind == api.OpApplicationStart || kind == api.OpServiceStart || kind == api.OpAddNodes
}

// finished ends an operation whose state is reached: it fails when machines were given up on the way.
func finished(op store.Operation) (life.OperationEvent, *store.Failure) {
	var reasons []string
	for _, step := range op.Steps {
		if reason, ok := strings.CutPrefix(step.Text, givenUp); ok {
			reasons = append(reasons, reason)
		}
	}
	if len(reasons) == 0 {
		return life.OperationSucceed, nil
	}
	code := api.CodeQuota
	if slices.ContainsFunc(reasons, func(reason string) bool { return strings.Contains(reason, store.ErrCredit.Error()) }) {
		code = api.CodeCredit
	}
	return life.OperationFail, &store.Failure{
		Code:   code,
		Detail: fmt.Sprintf("not all machines could be made, those that could are kept: %s", strings.Join(slices.Compact(reasons), "; ")),
	}
}

// progressOf tells how far an operation is, for example "5 machines: 3 ready, 2 booting".
func (w *worker) progressOf(s *snapshot, op store.Operation) string {
	if onVolume(op.Kind) {
		return volumeProgress(s, op)
	}
	if r := w.d.actions.find(op.ID); r != nil {
		return r.kind.Name + ": " + r.progress()
	}
	nodes := s.nodes
	if op.Service != 0 {
		nodes = nodesOf(s.nodes, op.Service)
		if manager, ok := s.manager(); growing(op.Kind) && (!ok || manager.State != api.NodeReady) {
			state := api.NodeWanted
			if ok {
				state = manager.State
			}
			return fmt.Sprintf("waiting for the manager, which is %s", state)
		}
	}
	counts := make(map[api.NodeState]int)
	for _, n := range nodes {
		counts[n.State]++
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
	}
	text := machines(len(nodes))
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

// machines counts them in words.
func machines(n int) string {
	if n == 1 {
		return "1 machine"
	}
	return fmt.Sprintf("%d machines", n)
}

// refusedByCloud is a machine that the cloud refuses for a reason that does not pass by itself. An operation that adds
// machines goes without it and says so at its end; otherwise it is tried again, later and later.
func (w *worker) refusedByCloud(ctx context.Context, n store.Node, cause error) error {
	return w.d.store.Update(ctx, "node.refused", func(tx *store.Tx) error {
		if now, err := tx.Node(n.ID); err != nil || now.State != api.NodeCreating {
			return err // it was given up or deleted meanwhile
		}
		if _, err := tx.Step(n.ID, life.NodeGiveUp, store.NodeChange{Reason: cause.Error()}); err != nil {
			return err
		}
		return goWithout(tx, n.Application, n.Service, map[api.Role]int{n.Role: 1}, cause.Error())
	})
}

// giveUp goes without machines that could not even be reserved.
func (w *worker) giveUp(ctx context.Context, s *snapshot, service api.ServiceID, roles map[api.Role]int, reason string) error {
	s.changed = true
	return w.d.store.Update(ctx, "nodes.refused", func(tx *store.Tx) error { return goWithout(tx, w.id, service, roles, reason) })
}

// goWithout takes machines out of what is wanted, when an open operation has asked for them.
func goWithout(tx *store.Tx, application api.ApplicationID, service api.ServiceID, roles map[api.Role]int, reason string) error {
	open, err := tx.OpenOperations(application)
	if err != nil {
		return err
	}
	for _, op := range open {
		if op.Kind != api.OpAddNodes || op.Service != service {
			continue
		}
		var params nodesParams
		if err := json.Unmarshal(op.Params, &params); err != nil {
			return fmt.Errorf("parameters of operation %s: %w", op.ID, err)
		}
		v, err := tx.Service(application, service)
		if err != nil {
			return err
		}
		without := lost(op)
		less := false
		for role, count := range roles {
			take := min(count, params.Nodes[role]-without[role])
			if take <= 0 {
				continue
			}
			v.Nodes[role] -= take
			less = true
			if _, err := tx.NoteOperation(op.ID, "", fmt.Sprintf(givenUp+"%d %s: %s", take, role, reason)); err != nil {
				return err
			}
		}
		if !less {
			continue
		}
		if packed := packedRole(v); packed != "" && v.Nodes[api.RoleProxy] > 1 {
			more := v.Nodes[api.RoleProxy] - 1
			if _, err := tx.NoteOperation(op.ID, "", fmt.Sprintf(givenUp+"%d %s: there is no machine of role %s", more, api.RoleProxy, packed)); err != nil {
				return err
			}
			v.Nodes[api.RoleProxy] = 1
		}
		_, err = tx.SetServiceNodes(application, service, v.Nodes)
		return err
	}
	return nil
}

// lost counts the machines per role that an operation goes without, from its steps.
func lost(op store.Operation) map[api.Role]int {
	counts := make(map[api.Role]int)
	for _, step := range op.Steps {
		var count int
		var role string
		if n, _ := fmt.Sscanf(step.Text, givenUp+"%d %s", &count, &role); n == 2 {
			counts[api.Role(strings.TrimSuffix(role, ":"))] += count
		}
	}
	return counts
}

// record keeps an event that the manager has told, in the history of the application.
func (w *worker) record(ctx context.Context, e api.Event) {
	err := w.d.store.Update(ctx, "manager.event", func(tx *store.Tx) error {
		_, err := tx.AddEvent(store.Event{Application: w.id, Service: e.Service, Node: e.Node, Kind: e.Kind, Text: e.Text, Alarm: e.Alarm})
		return err
	})
	if err != nil {
		w.log.Warn("an event of the manager is lost", "event", e.Kind, "text", e.Text, daemon.KeyError, err)
	}
}
