//go:build linux

package path

import "time"

// relayState is a relay and whether this node is registered at it.
type relayState struct {
	relay   Relay
	trial   trial
	strange int       // answers in a row that say that we are not registered
	reset   time.Time // when the last handshake with it was forced
	lost    bool      // it had forgotten us, and with us every session that goes through it
	back    bool      // it knows us again
}

// heard takes the relay's answer to a ping.
func (r *relayState) heard(stranger bool) {
	if stranger {
		r.strange++
		return
	}
	r.strange = 0
	r.back = r.lost
}

// tend registers the node anew at a relay that says that it does not know it: after a restart of the relay,
// or when a NAT has given the node another port. WireGuard would notice only after two minutes. The first
// such answer may have crossed a handshake.
func (s *Selector) tend(now time.Time, r *relayState) []Change {
	r.trial.expire(now, s.pace)
	if r.strange >= 2 && now.Sub(r.reset) >= handshakeTry {
		r.reset, r.lost, r.strange = now, true, 1
		return []Change{{Key: r.relay.Key, Endpoint: r.relay.Endpoint, Reset: true, Why: "the relay does not know this node"}}
	}
	if !r.back {
		return nil
	}
	r.lost, r.back = false, false
	var changes []Change
	for _, l := range s.peers {
		if l.present && l.state.Endpoint == r.relay.Endpoint && l.session(now) {
			changes = append(changes, s.change(now, l, r.relay.Endpoint, true, "the relay has forgotten the session")...)
		}
	}
	return changes
}
