package path

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"conpaas/vpn/probe"
	"conpaas/vpn/wg"
)

func TestWhoKnockedTooEarlyIsGreeted(t *testing.T) {
	relayed := wg.PeerState{Key: "peer", Endpoint: first.Endpoint}
	quiet := wg.PeerState{Key: "peer", Endpoint: direct}
	for _, c := range []struct {
		name  string
		from  netip.AddrPort
		age   time.Duration
		state wg.PeerState
		want  bool
	}{
		{"its handshake was lost", direct, 0, quiet, true},
		{"somebody else knocked", roamed, 0, quiet, false},
		{"it has tried again", direct, handshakeTry, quiet, false},
		{"the device has answered it", direct, 0, wg.PeerState{Key: "peer", Endpoint: direct, Received: 148, Sent: 92}, false},
		{"the device has begun itself", direct, 0, wg.PeerState{Key: "peer", Endpoint: direct, Sent: 148}, false},
		{"a relay does not tell who knocks", first.Endpoint, 0, relayed, false},
	} {
		m := newModel("a", direct, first)
		m.s.Answer(m.now.Add(-c.age), probe.Answer{From: c.from, Knock: true})
		changes, _ := m.s.Step(m.now, []wg.PeerState{c.state})
		greeted := slices.Contains(changes, Change{Key: "peer", Endpoint: c.state.Endpoint, Greet: true})
		if greeted != c.want {
			t.Errorf("%s: changes %+v, want a greeting: %t", c.name, changes, c.want)
		}
	}
}

func TestKnocksAreBounded(t *testing.T) {
	m := newModel("a", direct)
	for i := range knocksMax + 100 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1)
		m.s.Answer(m.now, probe.Answer{From: at, Knock: true})
	}
	if n := m.s.Knocks(); n != knocksMax {
		t.Errorf("%d knocks are remembered, want at most %d", n, knocksMax)
	}
	m.steps(5)
	if n := m.s.Knocks(); n != 0 {
		t.Errorf("%d knocks are remembered after 5 s, want none", n)
	}
}
