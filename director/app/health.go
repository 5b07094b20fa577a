package app

import (
	"context"
	"fmt"
	"time"

	"conpaas/client/api"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// health turns what the manager reports, and silence, into events of nodes. Silence makes a node unreachable and asks
// its cloud; only the cloud's word, or a long time without any and few others in the same state, replaces it.
func (w *worker) health(ctx context.Context, s *snapshot, seen observed, next *deadline) error {
	w.cutRevoked(s, seen)
	if s.application.Wanted != store.ApplicationRunning {
		return nil
	}
	if silent, _ := unreachable(s); silent == 0 {
		w.braked = false
	}
	for _, n := range s.nodes {
		if neverJoined(n) || !acts(n) {
			delete(w.silent, n.ID)
			continue
		}
		var err error
		if n.IsManager() {
			err = w.managerHealth(ctx, s, n, seen, next)
		} else if seen.node != "" && seen.health != nil { // else nobody can tell
			err = w.agentHealth(ctx, s, n, seen, next)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cutRevoked ends the connection of a manager that is not the present one any more. It would be refused if it dialled now;
// the connection that it has must not outlive that.
func (w *worker) cutRevoked(s *snapshot, seen observed) {
	if manager, ok := s.manager(); seen.node != "" && (!ok || manager.ID != seen.node) {
		w.log.Info("the connection of a manager that was given up is cut", "node", seen.node)
		w.d.hub.Disconnect(string(seen.node))
	}
}

func (w *worker) managerHealth(ctx context.Context, s *snapshot, n store.Node, seen observed, next *deadline) error {
	if seen.node == n.ID {
		delete(w.silent, n.ID)
		if seen.self != nil {
			w.serving(n, seen.services != nil, *seen.self, "")
		}
		return nil
	}
	// Where no connection was lost this director has just begun: a thousand managers that dial it now must not become a
	// thousand questions to their clouds. The sweep finds those whose machines are gone.
	return w.silence(ctx, s, n, seen.lost, next)
}

func (w *worker) agentHealth(ctx context.Context, s *snapshot, n store.Node, seen observed, next *deadline) error {
	h, known := seen.health[n.ID]
	if !known || !h.Connected {
		return w.silence(ctx, s, n, true, next)
	}
	delete(w.silent, n.ID)
	if h.Status == nil {
		return nil
	}
	w.serving(n, h.Ready, *h.Status, h.Reason)
	return nil
}

// serving records that a node is heard of, and whether it does what it should.
func (w *worker) serving(n store.Node, ready bool, status api.NodeStatus, reason string) {
	trust := w.trusting(n, status.Trust)
	learnt := store.NodeChange{Version: status.Version, DataPlane: status.DataPlane, Reason: reason, Trust: trust}
	switch {
	case n.State == api.NodeUnreachable:
		w.step(n.ID, life.NodeBack, learnt)
	case ready && n.State == api.NodeJoined:
		delete(w.failures, n.Service)
		w.step(n.ID, life.NodeReady, learnt)
	case !ready && n.State == api.NodeReady:
		w.step(n.ID, life.NodeUnready, learnt)
	case trust != "":
		w.step(n.ID, "", store.NodeChange{Trust: trust})
	}
}

// untrusted is the Trust of a node that says it has something else than it had: its disk was put back.
const untrusted = "other"

// trusting gives what is to be recorded of a node that has got what the CA gives now, or has lost it; "" for no change.
func (w *worker) trusting(n store.Node, says string) string {
	now := w.d.trust.Load().name
	switch {
	case says == "" || (says == now) == (n.Trust == now):
		return ""
	case says != now:
		return untrusted
	}
	return now
}

// silence is a node that nothing is heard of. Its cloud is asked about its machine: at once, or when it has been silent for
// long.
func (w *worker) silence(ctx context.Context, s *snapshot, n store.Node, atOnce bool, next *deadline) error {
	timing := w.d.config.Timing
	since, known := w.silent[n.ID]
	if !known {
		since = next.now
		w.silent[n.ID] = since
		if atOnce {
			w.calls.describe(n) // a machine that has died is replaced at once
		}
	}
	if n.State != api.NodeUnreachable && n.State != api.NodeDraining {
		if quiet := since.Add(timing.Silence); next.now.Before(quiet) {
			next.at(quiet)
			return nil
		}
		w.calls.describe(n)
		w.step(n.ID, life.NodeSilent, store.NodeChange{Reason: "nothing has been heard of it for " + timing.Silence.String()})
		return nil
	}
	limit := since.Add(timing.Replace)
	if n.IsManager() { // nobody else can repair what a silent manager leaves undone
		limit = since.Add(min(timing.Replace, 2*time.Minute))
	}
	if next.now.Before(limit) {
		next.at(limit)
		return nil
	}
	if !n.IsManager() && meltdown(s) {
		next.at(next.now.Add(timing.Silence))
		return w.tellMeltdown(ctx, s)
	}
	w.step(n.ID, life.NodeGiveUp, store.NodeChange{
		Reason: fmt.Sprintf("nothing has been heard of it for %v, though its cloud says that its machine runs", next.now.Sub(since).Round(time.Second)),
	})
	return nil
}

// meltdown tells whether so many nodes are silent at once that the fault is likely elsewhere, and replacing them
// would do more harm: more than one, and more than a fifth.
func meltdown(s *snapshot) bool {
	silent, all := unreachable(s)
	return silent > 1 && silent*5 > all
}

// unreachable counts the machines of services that are silent, and all.
func unreachable(s *snapshot) (silent, all int) {
	for _, n := range s.nodes {
		if n.IsManager() || neverJoined(n) || !acts(n) {
			continue
		}
		all++
		if n.State == api.NodeUnreachable {
			silent++
		}
	}
	return silent, all
}

// tellMeltdown tells people once that nothing is replaced, and why.
func (w *worker) tellMeltdown(ctx context.Context, s *snapshot) error {
	if w.braked {
		return nil
	}
	silent, all := unreachable(s)
	err := w.d.store.Update(ctx, "application.meltdown", func(tx *store.Tx) error {
		_, err := tx.AddEvent(store.Event{Application: w.id, Kind: "nodes.silent", Alarm: true, Text: fmt.Sprintf(
			"%d of %d machines are silent at once, though their clouds say that they run: none is replaced until most are heard again; look at the network between them and the manager, or remove those that are lost",
			silent, all)})
		return err
	})
	w.braked = err == nil
	return err
}
