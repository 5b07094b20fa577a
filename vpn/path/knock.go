//go:build linux

package path

import (
	"maps"
	"net/netip"
	"time"
)

// Two nodes do not learn of each other in the same moment. If the first has something for the second at once, its
// handshake is dropped by a device that does not know it, and WireGuard tries again only after 5 s. The prober sees such
// handshakes: whose sender turns out to be a peer is greeted, which makes the session at once.

// knocksMax bounds the handshakes that are remembered: anybody can send some.
const knocksMax = 4096

// knock notes that a handshake was begun from an endpoint.
func (s *Selector) knock(now time.Time, from netip.AddrPort) {
	if _, known := s.knocks[from]; known || len(s.knocks) < knocksMax {
		s.knocks[from] = now
	}
}

// forget drops the knocks after which WireGuard has tried again by itself.
func (s *Selector) forget(now time.Time) {
	maps.DeleteFunc(s.knocks, func(_ netip.AddrPort, at time.Time) bool { return now.Sub(at) >= handshakeTry })
}

// early tells that a peer's handshake came before the device knew the peer: the device has never heard of it. If it has
// sent something itself it waits for the answer. What comes through a relay does not tell who has knocked.
func (s *Selector) early(l *link) bool {
	at := l.state.Endpoint
	_, knocked := s.knocks[at]
	return knocked && l.state.Received == 0 && l.state.Sent == 0 && s.relayAt(at) == nil
}

// hurry has Run take the next step now.
func (s *Selector) hurry() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
