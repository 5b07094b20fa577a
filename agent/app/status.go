package app

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"conpaas/client/api"
)

// maxEvents is how many events wait for a manager; the oldest go first.
const maxEvents = 32

// board holds what the agent says of its node, and tells who waits when that changes.
type board struct {
	mu      sync.Mutex
	status  api.NodeStatus
	changed chan struct{} // closed and replaced at every change
	events  []api.Event   // not yet taken by a stream, oldest first
}

func newBoard() *board { return &board{changed: make(chan struct{})} }

// change edits the status. The edit must replace slices, not write into them: readers hold them.
func (b *board) change(edit func(*api.NodeStatus)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	edit(&b.status)
	b.announce()
}

// event tells the next stream, and so people, of something that has happened.
func (b *board) event(kind string, alarm bool, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, api.Event{Time: time.Now().UTC(), Kind: kind, Alarm: alarm, Text: fmt.Sprintf(format, args...)})
	if over := len(b.events) - maxEvents; over > 0 {
		b.events = slices.Delete(b.events, 0, over)
	}
	b.announce()
}

func (b *board) announce() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// look gives the status, and a channel that is closed when there is something newer.
func (b *board) look() (api.NodeStatus, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status, b.changed
}

// take hands the waiting events out, each once.
func (b *board) take() []api.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.events
	b.events = nil
	return events
}
