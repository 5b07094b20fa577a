package app

import "time"

// patience remembers since when a worker has waited for things. Times of the database would not do: the clock may have
// been set since, and a day forward would be the end of everybody's patience. A director that starts begins to wait anew.
type patience struct {
	since map[string]time.Time
	asked map[string]bool // in this round
}

func newPatience() *patience {
	return &patience{since: make(map[string]time.Time), asked: make(map[string]bool)}
}

// waiting gives since when the thing has been waited for, in every round up to now.
func (p *patience) waiting(thing string, now time.Time) time.Time {
	p.asked[thing] = true
	first, known := p.since[thing]
	if !known {
		p.since[thing], first = now, now
	}
	return first
}

// round ends a round: what was not waited for in it is forgotten.
func (p *patience) round() {
	for thing := range p.since {
		if !p.asked[thing] {
			delete(p.since, thing)
		}
	}
	clear(p.asked)
}
