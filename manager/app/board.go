package app

import (
	"context"
	"iter"
	"reflect"
	"sync"
	"time"

	"conpaas/client/api"
)

const (
	heartbeat = 5 * time.Second       // a stream is never silent for longer
	gather    = 50 * time.Millisecond // changes within it go out together
	eventsMax = 512                   // that wait for a director; the oldest are dropped
)

// board is where the loop puts what the director is to know, and where streams read it. Streams that are slow
// miss intermediate states and nothing else.
type board struct {
	mu      sync.Mutex
	state   State
	changed chan struct{} // closed at the next change
	events  []numbered    // that no stream has delivered yet
	number  uint64        // of the last event
}

type numbered struct {
	number uint64
	event  api.Event
}

func newBoard() *board { return &board{changed: make(chan struct{})} }

// publish shows a new state.
func (b *board) publish(s State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reflect.DeepEqual(s, b.state) {
		return
	}
	b.state = s
	b.wake()
}

// tell adds an event for the director.
func (b *board) tell(e api.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	b.events = append(b.events, numbered{b.number, e})
	if extra := len(b.events) - eventsMax; extra > 0 {
		b.events = append([]numbered(nil), b.events[extra:]...)
	}
	b.wake()
}

// wake is called with the lock held.
func (b *board) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// read gives the state, the events that wait, and what is closed when there is more.
func (b *board) read() (State, []numbered, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.events[:len(b.events):len(b.events)], b.changed
}

// delivered forgets the events up to a number.
func (b *board) delivered(number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.events) > 0 && b.events[0].number <= number {
		b.events = b.events[1:]
	}
}

// Reports gives what GET /v1/stream sends, until ctx ends or the reader stops: a snapshot, then what changes as
// it changes, and a sign of life when nothing does. Events that no stream has delivered come with it, oldest first.
func (w *Worker) Reports(ctx context.Context) iter.Seq[api.ManagerReport] {
	return func(yield func(api.ManagerReport) bool) {
		var old *State
		beat := time.NewTimer(heartbeat)
		defer beat.Stop()
		for {
			state, events, changed := w.board.read()
			for _, line := range state.Lines(old) {
				if !yield(line) {
					return
				}
			}
			for _, e := range events {
				if !yield(api.ManagerReport{Revision: state.Revision, Settled: state.Settled, Event: &e.event}) {
					return
				}
				w.board.delivered(e.number)
			}
			old = &state
			beat.Reset(heartbeat)
			select {
			case <-changed:
			case <-beat.C:
				if !yield(api.ManagerReport{Revision: state.Revision, Settled: state.Settled, Lacks: state.Lacks}) {
					return
				}
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(gather):
			case <-ctx.Done():
				return
			}
		}
	}
}
