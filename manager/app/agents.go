package app

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"conpaas/client/agent"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/wire"
)

// session is one connection of an agent.
type session struct {
	number uint64
	node   api.NodeID
}

// Admit tells whether a node may connect: it must be one of those that the director has told of, and not be on
// its way out.
func (w *Worker) Admit(ctx context.Context, id api.NodeID) error {
	known := false
	if err := w.do(ctx, func() { n := w.core.nodes[id]; known = n != nil && admitted(n.info.State) }); err != nil {
		return err
	}
	if !known {
		return api.Errorf(api.CodeForbidden, "the director has told this manager of no node %s that is to run", id)
	}
	return nil
}

// Accept turns an agent's request GET /v1/connect into its connection, and returns when that is taken over.
func (w *Worker) Accept(rw http.ResponseWriter, r *http.Request, id api.NodeID) error {
	return w.hub.Accept(rw, r, string(id))
}

// Agent gives a client for the agent of a node, and the epoch that calls must carry.
func (w *Worker) Agent(ctx context.Context, id api.NodeID) (*agent.Client, api.Epoch, error) {
	var epoch api.Epoch
	var known, connected bool
	err := w.do(ctx, func() {
		n := w.core.nodes[id]
		epoch, known, connected = w.core.epoch, n != nil, n != nil && n.session != 0
	})
	switch {
	case err != nil:
		return nil, epoch, err
	case !known:
		return nil, epoch, api.Errorf(api.CodeNotFound, "application %s has no node %s", w.cfg.Application, id)
	case !connected:
		return nil, epoch, api.Errorf(api.CodeUnavailable, "the agent of node %s is not connected to its manager", id)
	}
	return agent.New(w.hub.Client(string(id))), epoch, nil
}

func (w *Worker) connected(child string, h api.Hello, s *wire.Session) {
	w.post(func() {
		w.number++
		known := &session{number: w.number, node: api.NodeID(child)}
		if !w.core.connected(time.Now(), known.node, known.number) {
			w.work.Go(s.Close) // it was removed since it was admitted
			return
		}
		w.sessions[s] = known
		w.log.Info("agent connected", daemon.KeyNode, child, "boot", h.BootID, "version", h.Version)
		events := w.budget(known.node)
		w.work.Go(func() { w.follow(known, s, events) })
	})
}

// budget is of the events of one agent, over all its connections. It is called by the loop.
func (w *Worker) budget(id api.NodeID) *rate.Limiter {
	for old := range w.budgets {
		if w.core.nodes[old] == nil {
			delete(w.budgets, old)
		}
	}
	if w.budgets[id] == nil {
		w.budgets[id] = rate.NewLimiter(eventRate, eventBurst)
	}
	return w.budgets[id]
}

func (w *Worker) disconnected(child string, s *wire.Session, err error) {
	w.post(func() {
		known := w.sessions[s]
		if known == nil {
			return
		}
		delete(w.sessions, s)
		w.core.disconnected(time.Now(), known.node, known.number)
		w.log.Info("agent disconnected", daemon.KeyNode, child, daemon.KeyError, err)
	})
}

func (w *Worker) cloned(child string, h api.Hello) {
	w.log.Error("two machines connect as one node; both are kept out", daemon.KeyNode, child, "boot", h.BootID)
	w.board.tell(api.Event{
		Time: time.Now().UTC(), Application: w.cfg.Application, Node: api.NodeID(child), Kind: "node.cloned", Alarm: true,
		Text: "two machines connect as node " + child + ": one is a copy of the other; both are kept out, delete the copy",
	})
}

// cut ends whatever connection a node has.
func (w *Worker) cut(id api.NodeID) {
	for s, known := range w.sessions {
		if known.node == id {
			w.work.Go(s.Close) // closing waits for the hub, which may wait for this loop
		}
	}
}
