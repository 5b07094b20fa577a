package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"conpaas/client/api"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// Bounds of actions that run at once, and how long the note of an end may take.
const (
	actionsAtOnce = 64
	actionsOfOne  = 8 // of one user
	actionEnd     = 10 * time.Second
	actionLook    = 5 * time.Second // between two looks at how far it is
)

// errCancelled ends an action whose operation was cancelled.
var errCancelled = errors.New("the operation was cancelled")

// actions are those that run now. They end with the director.
type actions struct {
	mu      sync.Mutex
	running map[api.OperationID]*runningAction
}

// runningAction is one of them.
type runningAction struct {
	id          api.OperationID
	who         api.UserID
	application api.ApplicationID
	service     api.ServiceID
	name        string // of the service
	kind        api.ActionKind
	cancel      context.CancelCauseFunc
	in          countedInput
	out         countedOutput
}

// beginAction makes the operation of an action, where there is a place for one.
func (d *Director) beginAction(ctx context.Context, a Actor, s store.Service, kind api.ActionKind, cancel context.CancelCauseFunc) (*runningAction, error) {
	r := &runningAction{who: a.ID, application: s.Application, service: s.ID, name: s.Name, kind: kind, cancel: cancel}
	err := d.store.Update(ctx, "action.begun", func(tx *store.Tx) error {
		op, err := tx.CreateOperation(store.NewOperation{Kind: api.OpServiceAction, Application: s.Application, Service: s.ID})
		if err != nil {
			return err
		}
		r.id = op.ID
		if err := d.actions.begin(r); err != nil { // before the worker can see the operation
			return err
		}
		if _, err = tx.StepOperation(op.ID, life.OperationStart, nil); err != nil {
			return err
		}
		if _, err = tx.NoteOperation(op.ID, kind.Name, fmt.Sprintf("%s: %s", kind.Name, a.Name)); err != nil {
			return err
		}
		return r.event(tx, fmt.Sprintf("%s has been begun by %s", kind.Name, a.Name))
	})
	if err != nil {
		d.actions.end(r.id)
		return nil, problem(err)
	}
	d.wake(s.Application)
	return r, nil
}

// noteEnd ends an operation, unless that was done by who cancelled it.
func noteEnd(tx *store.Tx, r *runningAction, text string, failure error) error {
	op, err := tx.Operation(r.id)
	if err != nil {
		return err
	}
	text = fmt.Sprintf("%s (%s)", text, r.progress())
	if !op.State.Final() {
		if _, err := tx.NoteOperation(r.id, r.kind.Name+": "+r.progress(), text); err != nil {
			return err
		}
		if failure != nil {
			_, err = tx.StepOperation(r.id, life.OperationFail, failureOf(failure))
		} else {
			_, err = tx.StepOperation(r.id, life.OperationSucceed, nil)
		}
		if err != nil {
			return err
		}
	}
	return r.event(tx, text)
}

// failureOf gives what an operation keeps of an error; what is internal stays in the log.
func failureOf(err error) *store.Failure {
	if known, ok := errors.AsType[*api.Error](err); ok && known.Code != api.CodeInternal {
		return &store.Failure{Code: known.Code, Detail: known.Detail, Field: known.Field}
	}
	return &store.Failure{Code: api.CodeInternal, Detail: "a fault; the log of the director has the reason"}
}

func (r *runningAction) event(tx *store.Tx, text string) error {
	_, err := tx.AddEvent(store.Event{
		Application: r.application, Service: r.service, Operation: r.id, Kind: "service.action", Text: fmt.Sprintf("service %q: %s", r.name, text),
	})
	return err
}

// progress says how much has gone through.
func (r *runningAction) progress() string {
	return fmt.Sprintf("%d bytes in, %d bytes out", r.in.count.Load(), r.out.count.Load())
}

func (l *actions) begin(r *runningAction) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := 0
	for _, other := range l.running {
		if other.who == r.who {
			own++
		}
	}
	switch {
	case own >= actionsOfOne:
		return api.Errorf(api.CodeThrottled, "%d actions of yours run already; try again when one has ended", own)
	case len(l.running) >= actionsAtOnce:
		return api.Errorf(api.CodeThrottled, "%d actions run on this installation already; try again when one has ended", actionsAtOnce)
	}
	if l.running == nil {
		l.running = make(map[api.OperationID]*runningAction)
	}
	l.running[r.id] = r
	return nil
}

func (l *actions) end(id api.OperationID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.running, id)
}

// cancel breaks an action off, if it runs.
func (l *actions) cancel(id api.OperationID) {
	if r := l.find(id); r != nil {
		r.cancel(errCancelled)
	}
}

// find gives an action that runs, else nil.
func (l *actions) find(id api.OperationID) *runningAction {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running[id]
}

// actionOutcome ends the operation of an action that nobody knows of any more.
func (w *worker) actionOutcome(op store.Operation, next *deadline) (life.OperationEvent, *store.Failure) {
	if w.d.actions.find(op.ID) == nil {
		return life.OperationFail, &store.Failure{Code: api.CodeUnavailable, Detail: "it is not known how it has ended: the director ended, or could not write it down"}
	}
	next.at(next.now.Add(actionLook))
	return "", nil
}

// countedInput is the input of an action.
type countedInput struct {
	from  io.Reader
	count atomic.Int64

	mu     sync.Mutex
	closed bool
	err    error // with which it broke off by itself
}

// Read reads on.
func (c *countedInput) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.count.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.closed {
			c.err = err
		}
	}
	return n, err
}

// Close stops a Read that waits.
func (c *countedInput) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	if closer, ok := c.from.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

func (c *countedInput) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// countedOutput is the output of an action.
type countedOutput struct {
	to    io.Writer
	count atomic.Int64
	err   error
}

// Write passes p on.
func (c *countedOutput) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.count.Add(int64(n))
	c.err = err
	return n, err
}
