//go:build linux

package path

import (
	"hash/fnv"
	"net/netip"
	"slices"
	"time"
)

// paths gives the endpoints by which a peer may be reached, best first: its own, the one it has moved to,
// the relays'.
func (s *Selector) paths(l *link) []netip.AddrPort {
	var list []netip.AddrPort
	if l.peer.Endpoint.IsValid() {
		list = append(list, l.peer.Endpoint)
	}
	if at := l.state.Endpoint; at.IsValid() && at != l.peer.Endpoint && s.relayAt(at) == nil {
		list = append(list, at)
	}
	for _, r := range s.relays {
		list = append(list, r.relay.Endpoint)
	}
	return list
}

// choose decides whether a peer's datagrams are to go another way.
//
//   - Only what probes have shown to work is chosen over a path that may work.
//   - Going back to the direct path costs nothing: the session goes on, and a probe has been answered there.
//     Both ends follow what arrives, so what is still on its way through the relay may turn it back; then it
//     is set once more by the next step.
//   - Going to a relay needs a handshake, because the relay has not seen the session's beginning. So a relay that
//     works is left for one that is preferred to it only after a while, and seldom.
//   - Where probes say nothing of any path (blocked, or the peer's agent is away) WireGuard's own silence
//     decides, and the paths are tried in turn.
func (s *Selector) choose(now time.Time, l *link) []Change {
	paths, current := s.paths(l), l.state.Endpoint
	if len(paths) == 0 {
		return nil
	}
	best := netip.AddrPort{}
	for _, at := range paths {
		if l.verdictOf(at) == works {
			best = at
			break
		}
	}
	direct, relayed := l.peer.Endpoint, s.relayAt(current) != nil
	if !l.force.IsZero() && !now.Before(l.force) {
		l.force = time.Time{}
		return []Change{{Key: l.peer.Key, Endpoint: current, Reset: true, Why: "the peer has not made a handshake on the new path"}}
	}
	switch {
	case s.early(l):
		return []Change{{Key: l.peer.Key, Endpoint: current, Greet: true}}
	case !current.IsValid():
		if !best.IsValid() {
			best = paths[0]
			for _, at := range paths {
				if l.verdictOf(at) != dead {
					best = at
					break
				}
			}
		}
		return s.move(now, l, best, "it has no endpoint")
	case best == current:
		return nil
	case relayed && direct.IsValid() && best == direct:
		return s.move(now, l, direct, "the direct path works")
	case relayed && best.IsValid() && s.preferred(best, current) && now.Sub(l.moved) >= directEvery*s.pace:
		return s.move(now, l, best, "a preferred relay works")
	case best.IsValid() && l.verdictOf(current) == dead && now.Sub(l.heard) >= suspicion*s.pace:
		return s.move(now, l, best, "no probe is answered on the path in use")
	case !best.IsValid() && l.broken(now) && len(paths) > 1 && now.Sub(l.moved) >= l.wait:
		l.wait = min(2*l.wait, longestTry)
		next := paths[(slices.Index(paths, current)+1)%len(paths)]
		return s.move(now, l, next, "nothing comes back on the path in use")
	case relayed && direct.IsValid() && l.trials[direct] == nil && l.asked.IsZero() &&
		now.Sub(l.heard) >= directEvery*s.pace && now.Sub(l.moved) >= directEvery*s.pace:
		return s.move(now, l, direct, "idle, so the direct path can be tried")
	}
	return nil
}

// preferred tells whether an endpoint is that of a relay that stands before another one's in the list.
func (s *Selector) preferred(at, other netip.AddrPort) bool {
	index := func(endpoint netip.AddrPort) int {
		return slices.IndexFunc(s.relays, func(r *relayState) bool { return r.relay.Endpoint == endpoint })
	}
	i := index(at)
	return i >= 0 && i < index(other)
}

// move makes the change of a peer's path.
func (s *Selector) move(now time.Time, l *link, to netip.AddrPort, why string) []Change {
	waiting := !l.asked.IsZero()
	reset := waiting && !l.session(now)
	if s.relayAt(to) != nil {
		reset = waiting || l.session(now)
	}
	if waiting {
		l.asked = now // the new path gets its own time
	}
	return s.change(now, l, to, reset, why)
}

// change makes a change. Where it forces a handshake, only the end with the smaller key does so at once: the
// other one probably sees the same trouble at the same time, and of two handshakes that meet neither succeeds.
func (s *Selector) change(now time.Time, l *link, to netip.AddrPort, reset bool, why string) []Change {
	l.moved, l.force = now, time.Time{}
	if reset && s.self > l.peer.Key {
		reset, l.force = false, now.Add(courtesy*s.pace)
	}
	return []Change{{Key: l.peer.Key, Endpoint: to, Reset: reset, Why: why}}
}

// pings gives the probes that are due.
func (s *Selector) pings(now time.Time) []Ping {
	if s.blind {
		return nil
	}
	var list []Ping
	urgent := map[netip.AddrPort]bool{} // relays that a suspicious peer uses
	for _, l := range s.peers {
		if l.present && l.suspicious(now, s.pace) {
			urgent[l.state.Endpoint] = true
		}
	}
	for _, r := range s.relays {
		interval := relayEvery * s.pace
		if urgent[r.relay.Endpoint] || r.strange > 0 {
			interval = timeout * s.pace
		}
		if r.trial.due(now, s.pace, interval) {
			list = append(list, s.ping(now, r.relay.Key, r.relay.Endpoint, &r.trial))
		}
	}
	for i := range s.peers {
		at := (s.cursor + i) % len(s.peers)
		if len(list) >= pingsPerStep {
			s.cursor = at
			break
		}
		if l := s.peers[at]; l.present {
			list = append(list, s.pingsOf(now, l)...)
		}
	}
	return list
}

// pingsOf gives the probes for one peer. The relays of a peer that is reached directly are not bothered, nor those that
// are not preferred to the one in use.
func (s *Selector) pingsOf(now time.Time, l *link) []Ping {
	var list []Ping
	suspicious := l.suspicious(now, s.pace)
	lost := l.verdictOf(l.peer.Endpoint) == dead || !l.peer.Endpoint.IsValid()
	inUse := map[netip.AddrPort]bool{}
	for _, at := range s.paths(l) {
		inUse[at] = true
		relayed := s.relayAt(at) != nil
		if relayed && at != l.state.Endpoint && !suspicious && !s.preferred(at, l.state.Endpoint) && !(lost && l.verdictOf(l.state.Endpoint) != works) {
			continue
		}
		t := l.trials[at]
		if t == nil {
			t = &trial{}
			l.trials[at] = t
		}
		interval := directEvery*s.pace + spread(l.peer.Key, 10*s.pace)
		if relayed {
			interval = relayedEvery*s.pace + spread(l.peer.Key, 5*s.pace)
		}
		if suspicious {
			interval = timeout * s.pace
		}
		if t.due(now, s.pace, interval) {
			list = append(list, s.ping(now, l.peer.Key, at, t))
		}
	}
	for at := range l.trials {
		if !inUse[at] {
			delete(l.trials, at)
		}
	}
	return list
}

func (s *Selector) ping(now time.Time, key string, at netip.AddrPort, t *trial) Ping {
	s.nonce++
	t.sent, t.nonce, t.waiting = now, s.nonce, true
	return Ping{Key: key, At: at, Nonce: s.nonce}
}

// spread gives each key its own part of a time, so that not all are pinged at once.
func spread(key string, within time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(key))
	return time.Duration(int64(within) * int64(h.Sum32()) >> 32)
}
