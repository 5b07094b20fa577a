package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

// waitOptions are the flags of the commands that begin an operation.
type waitOptions struct {
	noWait  bool
	timeout time.Duration
}

func (o *waitOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait for the operation, show it at once")
	o.timeoutFlag(cmd)
}

func (o *waitOptions) timeoutFlag(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "wait at most this `time`, for example 90s or 5m; the operation goes on (default: no limit)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if o.timeout < 0 {
			return usagef("--timeout %s: it cannot be negative", o.timeout)
		}
		return nil
	}
}

var errPatience = errors.New("the time of --timeout has passed")

// await shows an operation that has just begun, or its end. The error is of the call that began it.
func (g *Global) await(ctx context.Context, c *director.Client, what string, op api.Operation, err error, o waitOptions) error {
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case o.noWait:
		return g.say(op, "Operation %s has begun. Follow it with: cps operation watch %s", op.ID, op.ID)
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, errPatience)
		defer cancel()
	}
	w := &watcher{client: c, progress: ui.NewProgress(g.err, what), what: what}
	op, err = w.follow(ctx, op)
	if err != nil {
		return err
	}
	if err := g.say(op, "Operation %s (%s) %s.", op.ID, op.Kind, ended(op)); err != nil {
		return err
	}
	return outcome(what, op)
}

func ended(op api.Operation) string {
	text := string(op.State)
	if op.State == api.OperationCancelled {
		text = "was cancelled"
	}
	if op.Ended != nil {
		text += " after " + op.Ended.Sub(op.Created).Round(time.Second).String()
	}
	return text
}

// outcome is the error of an operation that did not succeed.
func outcome(what string, op api.Operation) error {
	switch {
	case op.State == api.OperationSucceeded:
		return nil
	case op.Error != nil:
		return failf(exitOperation, "%s: operation %s %s: %w", what, op.ID, op.State, op.Error)
	}
	return failf(exitOperation, "%s: operation %s was %s", what, op.ID, op.State)
}

// watcher follows one operation to its end, over as many connections as that takes.
type watcher struct {
	client   *director.Client
	progress *ui.Progress
	what     string
	seen     []api.Step
}

const (
	refresh = time.Second      // how often the elapsed time is shown
	silence = 45 * time.Second // after this long without news the connection is made anew, it may be dead
)

func (w *watcher) follow(ctx context.Context, op api.Operation) (api.Operation, error) {
	defer w.progress.End()
	retry := newRetry(func(err error) { w.progress.Note(lost(err)) })
	w.show(op)
	for !op.State.Final() {
		last, err := w.watch(ctx, op, retry.good)
		if op = last; op.State.Final() {
			break
		}
		err = retry.wait(ctx, err)
		switch {
		case errors.Is(err, errPatience):
			return op, failf(exitUnavailable, "%s: %w, operation %s goes on. Follow it with: cps operation watch %s", w.what, errPatience, op.ID, op.ID)
		case err != nil && ctx.Err() != nil:
			return op, failf(exitInterrupted, "%s: no longer waiting, operation %s goes on. Follow it with: cps operation watch %s; end it with: cps operation cancel %s",
				w.what, op.ID, op.ID, op.ID)
		case err != nil:
			return op, fmt.Errorf("%s: watch operation %s: %w", w.what, op.ID, err)
		}
	}
	return op, nil
}

type news struct {
	op  api.Operation
	err error
}

// watch follows the operation over one connection and gives what it last heard.
func (w *watcher) watch(ctx context.Context, op api.Operation, heard func()) (api.Operation, error) {
	ctx, cancel := context.WithCancel(ctx)
	updates := make(chan news)
	go func() {
		defer close(updates)
		for op, err := range w.client.WatchOperation(ctx, op.ID) {
			select {
			case updates <- news{op, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range updates { // until the goroutine has ended
		}
	}()
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	dead := time.NewTimer(silence)
	defer dead.Stop()
	for {
		select {
		case n, more := <-updates:
			if !more || n.err != nil {
				return op, n.err
			}
			heard()
			dead.Reset(silence)
			op = n.op
			if w.show(op); op.State.Final() {
				return op, nil
			}
		case <-tick.C:
			w.progress.Tick()
		case <-dead.C:
			return op, nil
		case <-ctx.Done():
			return op, context.Cause(ctx)
		}
	}
}

// show tells of the steps that are new and of how the operation stands.
func (w *watcher) show(op api.Operation) {
	for _, step := range op.Steps {
		if !slices.ContainsFunc(w.seen, func(s api.Step) bool { return s.Text == step.Text && s.Time.Equal(step.Time) }) {
			w.progress.Step(step.Time, step.Text)
		}
	}
	w.seen = op.Steps
	state := op.Progress
	if state == "" {
		state = string(op.State)
	}
	if !op.State.Final() {
		w.progress.State(state)
	}
}
