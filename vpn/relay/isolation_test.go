package relay

import (
	"net/netip"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/device"
)

func TestStrangersAreDropped(t *testing.T) {
	f := newFabric(t)
	pair := f.members("app", 1, 2)
	a, b := pair[0], pair[1]
	a.ping(b)
	if !b.arrives(10 * time.Second) {
		t.Fatal("the members themselves do not talk")
	}
	stranger := netip.MustParseAddrPort("203.0.113.9:1")
	before := f.server.Stats()
	sent := 0
	for kind := uint32(1); kind <= 4; kind++ {
		for _, p := range f.captured(a.at, kind) {
			if p.to == relayAddress && !f.server.id.cookies.CheckMAC1(padded(p.data)) {
				if to, _ := f.server.handle(stranger, p.data, time.Now()); to != nil {
					t.Errorf("a type %d datagram of a stranger was sent to %s", kind, to)
				}
				sent++
			}
		}
	}
	after := f.server.Stats()
	if sent < 2 || after.Forwarded != before.Forwarded || after.Strangers != before.Strangers+uint64(sent) {
		t.Errorf("of %d datagrams of a stranger: before %+v, after %+v", sent, before, after)
	}
	// A node that may not use the relay gets no answer at all.
	c := f.join(3)
	c.register()
	f.eventually("the handshake of a node that is not listed", func() bool { return len(f.captured(c.at, 1)) > 0 })
	if list := f.captured(relayAddress, 2); len(list) != 3 { // two registrations, one session
		t.Errorf("the relay sent %d responses, want 3", len(list))
	}
}

// padded makes any datagram long enough to be asked for its MACs.
func padded(b []byte) []byte {
	if len(b) < device.MessageResponseSize {
		return make([]byte, device.MessageResponseSize)
	}
	return b
}

func TestGroupsAreApart(t *testing.T) {
	f := newFabric(t)
	a := f.members("one", 1)[0]
	b := f.members("two", 2)[0]
	a.peer(b)
	b.peer(a)
	before := f.server.Stats()
	a.ping(b)
	b.ping(a)
	f.eventually("both handshakes are dropped", func() bool { return f.server.Stats().Unknown >= before.Unknown+2 })
	if after := f.server.Stats(); after.Forwarded != before.Forwarded {
		t.Errorf("%d datagrams went from one group to another", after.Forwarded-before.Forwarded)
	}
	// Moved into one group they reach each other.
	if err := f.server.SetNodes([]Node{{Key: a.key(), Group: "one"}, {Key: b.key(), Group: "one"}}); err != nil {
		t.Fatal(err)
	}
	if at := f.where(b); at.IsValid() {
		t.Errorf("a node of another group is still registered, at %s", at)
	}
	if at := f.where(a); at != a.at {
		t.Errorf("a node that stayed is registered at %s, want %s", at, a.at)
	}
}

func TestRegistrationCannotBeSpoofed(t *testing.T) {
	f := newFabric(t)
	pair := f.members("app", 1, 2)
	a, b := pair[0], pair[1]
	thief := netip.MustParseAddrPort("203.0.113.9:1")

	t.Run("copies of all that a node has sent", func(t *testing.T) {
		for kind := uint32(1); kind <= 4; kind++ {
			for _, p := range f.captured(a.at, kind) {
				if to, _ := f.server.handle(thief, p.data, time.Now()); to != nil {
					t.Errorf("a copy of a type %d datagram is answered", kind)
				}
			}
		}
		if at := f.where(a); at != a.at {
			t.Errorf("the node is registered at %s, want %s", at, a.at)
		}
	})
	t.Run("a fresh handshake, sent on from elsewhere", func(t *testing.T) {
		// Who sees the handshake and is first gets the answer, and can do nothing with it.
		var stolen packet
		f.mu.Lock()
		f.drop = func(p packet) bool {
			if p.from == a.at && p.kind() == 1 {
				stolen = p
				return true
			}
			return false
		}
		f.mu.Unlock()
		a.registerAgain()
		f.eventually("a handshake", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return stolen.data != nil
		})
		f.mu.Lock()
		f.drop = nil
		f.mu.Unlock()
		to, answer := f.server.handle(thief, stolen.data, time.Now())
		if to == nil || to.AddrPort() != thief || len(answer) > len(stolen.data) {
			t.Fatalf("answer of %d bytes to %v, want a shorter one to %s", len(answer), to, thief)
		}
		forged := make([]byte, 32)
		forged[0] = device.MessageTransportType
		copy(forged[4:8], answer[4:8])
		f.server.handle(thief, forged, time.Now())
		if at := f.where(a); at != a.at {
			t.Errorf("the node is registered at %s, want %s", at, a.at)
		}
	})
	t.Run("a member that claims another's address", func(t *testing.T) {
		// b sends all that it sends to the relay with a's address as the source, and sees no answer there.
		f.mu.Lock()
		f.drop = func(p packet) bool {
			if p.from == b.at && p.to == relayAddress {
				if to, _ := f.server.handle(a.at, p.data, time.Now()); to != nil && to.AddrPort() == b.at {
					f.t.Error("the relay answered somebody else")
				}
				return true
			}
			return false
		}
		f.mu.Unlock()
		b.registerAgain()
		f.eventually("b's handshake is pending at a's address", func() bool {
			f.server.mu.RLock()
			defer f.server.mu.RUnlock()
			for _, n := range f.server.nodes {
				if n.key.String() == b.key() && n.pending != nil && n.pendingFrom == a.at {
					return true
				}
			}
			return false
		})
		if at := f.where(a); at != a.at {
			t.Errorf("a is registered at %s, want %s", at, a.at)
		}
	})
	t.Run("a member that gets the answer and then claims another's address", func(t *testing.T) {
		claimed := 0
		f.mu.Lock()
		f.drop = func(p packet) bool {
			if p.from != b.at || p.to != relayAddress || p.kind() != 4 {
				return false
			}
			f.server.handle(a.at, p.data, time.Now())
			claimed++
			return true
		}
		f.mu.Unlock()
		b.registerAgain()
		f.eventually("b's keepalive, sent from a's address", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return claimed > 0
		})
		if at := f.where(a); at != a.at {
			t.Errorf("a is registered at %s, want %s", at, a.at)
		}
		if at := f.where(b); at == a.at {
			t.Errorf("b is registered at a's address %s", at)
		}
	})
}
