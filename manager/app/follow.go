package app

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"conpaas/client/agent"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/wire"
)

const (
	reportRate  = 20 // reports a second that one agent may make for long
	reportBurst = 100
	eventRate   = 0.1 // events a second of one agent that are passed on for long: the others' must come through as well
	eventBurst  = 20
)

// follow reads the reports of an agent as long as its connection lives.
func (w *Worker) follow(known *session, s *wire.Session, events *rate.Limiter) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.work.Go(func() {
		defer cancel()
		select {
		case <-s.Done():
		case <-w.ended:
		case <-ctx.Done():
		}
	})
	client := agent.New(w.hub.Client(string(known.node)))
	limit := rate.NewLimiter(reportRate, reportBurst)
	for pause := w.cfg.Timing.Retry; ; pause = min(2*pause, w.cfg.Timing.RetryMax) {
		err := w.read(ctx, client, known, s, limit, events)
		if ctx.Err() != nil {
			return
		}
		if api.CodeFrom(err) == api.CodeProtocol {
			text := fmt.Sprintf("its agent runs version %s, which does not understand this manager of version %s: %v; remove this node and add another", s.Hello().Version, daemon.Version, err)
			w.post(func() { w.core.troubled(known.node, known.number, text) })
		}
		w.log.Warn("the agent's reports have ended; asking for them again", daemon.KeyNode, known.node, daemon.KeyError, err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// read opens the stream of reports once. An agent that says nothing for too long loses its connection: it may be
// stopped with its sockets open.
func (w *Worker) read(ctx context.Context, client *agent.Client, known *session, s *wire.Session, limit, events *rate.Limiter) error {
	var epoch api.Epoch
	if err := w.do(ctx, func() { epoch = w.core.epoch }); err != nil {
		return err
	}
	watchdog := time.AfterFunc(w.cfg.Timing.Silence, func() {
		w.log.Warn("cutting the connection of a silent agent", daemon.KeyNode, known.node)
		s.Close()
	})
	defer watchdog.Stop()
	for report, err := range client.Stream(ctx, epoch) {
		if err != nil {
			return err
		}
		watchdog.Reset(w.cfg.Timing.Silence)
		if err := limit.Wait(ctx); err != nil {
			return err
		}
		w.take(known, report, events)
	}
	return nil
}

// take passes a report on to the loop.
func (w *Worker) take(known *session, report api.AgentReport, events *rate.Limiter) {
	if status := report.Status; status != nil {
		bound(known.node, status)
		w.post(func() { w.core.reported(known.node, known.number, status) })
	}
	if event := report.Event; event != nil && events.Allow() {
		event.ID, event.Application, event.Node = 0, w.cfg.Application, known.node
		event.Kind, event.Text = cut(event.Kind, nameMax), cut(event.Text, textMax)
		w.board.tell(*event)
	}
}
