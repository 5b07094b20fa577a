package app

import (
	"math/rand/v2"
	"time"
)

// Timing is how long the agent waits for things.
type Timing struct {
	ParentLookup time.Duration // without a connection, until the director is asked who the parent is; up to half more by chance
	Splice       time.Duration // without a connection over the overlay, until the director is asked to carry one
	Direct       time.Duration // between two tries to connect over the overlay while the director carries the connection
	Connect      time.Duration // for one try to connect
	RetryFirst   time.Duration // before the second try of anything
	RetryLast    time.Duration // the longest such pause
	Look         time.Duration // between two looks at roles that are not ready
	Watch        time.Duration // between two looks at roles that are
	Reapply      time.Duration // between two applications of an unchanged spec
	Apply        time.Duration // for one application
	Heartbeat    time.Duration // between two lines of a status stream
	Counters     time.Duration // between two reports of peers that differ only in their counters
}

// DefaultTiming gives the values for machines.
func DefaultTiming() Timing {
	return Timing{
		ParentLookup: 20 * time.Second,
		Splice:       20 * time.Second,
		Direct:       15 * time.Second,
		Connect:      15 * time.Second,
		RetryFirst:   300 * time.Millisecond,
		RetryLast:    30 * time.Second,
		Look:         250 * time.Millisecond,
		Watch:        5 * time.Second,
		Reapply:      time.Minute,
		Apply:        2 * time.Minute,
		Heartbeat:    5 * time.Second,
		Counters:     time.Minute,
	}
}

// jitter gives d and up to half more.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/2+1) }
