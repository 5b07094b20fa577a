package wire

import (
	"slices"
	"time"
)

const (
	bootWindow = 10 * time.Minute // within which boots that take turns are clones
	quarantine = 5 * time.Minute
	bootsKept  = 8    // of one child
	childrenOf = 1024 // histories that are kept before old ones are dropped
)

// bootVerdict is what the history of a child's boots says of a new connection.
type bootVerdict int

const (
	bootAdmitted    bootVerdict = iota
	bootCloned                  // an older boot has come back: the quarantine begins
	bootQuarantined             // it goes on
)

// bootBook remembers which boots of each child have connected lately. A machine that reboots never shows an older boot id
// again; two machines with one identity show theirs in turns.
type bootBook map[string]*bootHistory

type bootHistory struct {
	seen  []boot // oldest first
	until time.Time
}

type boot struct {
	id   string
	last time.Time
}

// admit notes a connection of a child. connected: the newest boot of the child is connected until now.
func (b bootBook) admit(now time.Time, child, id string, connected bool) bootVerdict {
	b.prune(now)
	h := b[child]
	if h == nil {
		h = &bootHistory{}
		b[child] = h
	}
	if now.Before(h.until) {
		return bootQuarantined
	}
	if n := len(h.seen); n > 0 && connected {
		h.seen[n-1].last = now
	}
	h.seen = slices.DeleteFunc(h.seen, func(o boot) bool { return now.Sub(o.last) > bootWindow })
	at := slices.IndexFunc(h.seen, func(o boot) bool { return o.id == id })
	switch {
	case at < 0:
		h.seen = append(h.seen, boot{id, now})
		h.seen = h.seen[max(0, len(h.seen)-bootsKept):]
	case at == len(h.seen)-1:
		h.seen[at].last = now
	default:
		h.seen, h.until = nil, now.Add(quarantine)
		return bootCloned
	}
	return bootAdmitted
}

// left notes that the connection of a boot has ended now.
func (b bootBook) left(now time.Time, child, id string) {
	h := b[child]
	if h == nil {
		return
	}
	if at := slices.IndexFunc(h.seen, func(o boot) bool { return o.id == id }); at >= 0 {
		h.seen[at].last = now
	}
}

// prune drops the histories that say nothing any more, when there are many.
func (b bootBook) prune(now time.Time) {
	if len(b) < childrenOf {
		return
	}
	for child, h := range b {
		newest := h.until
		for _, o := range h.seen {
			newest = latest(newest, o.last)
		}
		if now.Sub(newest) > bootWindow {
			delete(b, child)
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
