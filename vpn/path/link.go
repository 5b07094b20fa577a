//go:build linux

package path

import (
	"net/netip"
	"time"

	"conpaas/vpn"
	"conpaas/vpn/wg"
)

// verdict is what the probes say of a path.
type verdict int

const (
	unknown verdict = iota
	works
	dead
)

// trial is the probes of one path.
type trial struct {
	sent    time.Time // of the last ping; zero: none yet
	nonce   uint64
	waiting bool // for its answer
	misses  int  // pings without answer since the last answer
	good    bool // there has been an answer, and not three misses since
	latency time.Duration
}

func (t *trial) verdict() verdict {
	switch {
	case t.good:
		return works
	case t.misses >= missesForDead:
		return dead
	}
	return unknown
}

// expire counts a ping whose answer is late.
func (t *trial) expire(now time.Time, pace time.Duration) {
	if t.waiting && now.Sub(t.sent) >= timeout*pace {
		t.waiting = false
		t.misses++
		if t.misses >= missesForDead {
			t.good = false
		}
	}
}

// answer takes an answer; false says that it is not to this trial's last ping. A late one counts too.
func (t *trial) answer(now time.Time, nonce uint64) bool {
	if t.sent.IsZero() || t.nonce != nonce {
		return false
	}
	t.waiting, t.misses, t.good = false, 0, true
	t.latency = now.Sub(t.sent)
	return true
}

// due tells whether it is time for the next ping, with an interval between pings that are answered.
func (t *trial) due(now time.Time, pace time.Duration, interval time.Duration) bool {
	if t.sent.IsZero() {
		return true
	}
	if t.waiting {
		return false
	}
	if t.misses > 0 && t.misses < missesForDead {
		interval = timeout * pace
	}
	return now.Sub(t.sent) >= interval
}

// link is one peer and what is known of its paths.
type link struct {
	peer    vpn.Peer
	present bool // in the device
	state   wg.PeerState
	heard   time.Time // when something of the peer last came
	asked   time.Time // when something was sent that nothing has come back for; zero: nothing is
	moved   time.Time // when another path was last chosen
	force   time.Time // when to force a handshake if nothing has come by then; zero: not at all
	wait    time.Duration
	trials  map[netip.AddrPort]*trial
}

// observe compares what the device counts with what it counted before.
func (l *link) observe(now time.Time, st wg.PeerState, present bool) {
	before := l.state
	if !l.present || st.Sent < before.Sent || st.Received < before.Received {
		// Seen for the first time, or counted anew after a reset.
		before.Sent, before.Received = 0, 0
		if !l.present {
			before = st
			l.heard, l.asked = st.Handshake, time.Time{}
			if st.Sent > 0 && st.Handshake.IsZero() {
				l.asked = now // it has tried already
			}
		}
	}
	l.state, l.present = st, present
	if !present {
		return
	}
	if st.Received > before.Received || st.Handshake.After(before.Handshake) {
		l.heard, l.asked, l.force, l.wait = now, time.Time{}, time.Time{}, handshakeTry
		return
	}
	if grown := st.Sent - before.Sent; grown > 0 && grown != keepaliveSize && l.asked.IsZero() {
		l.asked = now
	}
}

// session tells whether the device has a session that can be used.
func (l *link) session(now time.Time) bool {
	return !l.state.Handshake.IsZero() && now.Sub(l.state.Handshake) < sessionLife
}

// suspicious tells that something was sent and nothing came back for a while: perhaps the path is broken,
// perhaps the peer has nothing to say.
func (l *link) suspicious(now time.Time, pace time.Duration) bool {
	return !l.asked.IsZero() && now.Sub(l.asked) >= suspicion*pace
}

// broken tells that WireGuard itself would have got an answer by now.
func (l *link) broken(now time.Time) bool {
	if l.asked.IsZero() {
		return false
	}
	patience := silence
	if !l.session(now) {
		patience = handshakeTry
	}
	return now.Sub(l.asked) >= patience
}

func (l *link) expire(now time.Time, pace time.Duration) {
	for _, t := range l.trials {
		t.expire(now, pace)
	}
}

// verdictOf is what the probes say of the path by an endpoint.
func (l *link) verdictOf(at netip.AddrPort) verdict {
	if t := l.trials[at]; t != nil {
		return t.verdict()
	}
	return unknown
}
