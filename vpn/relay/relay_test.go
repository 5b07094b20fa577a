package relay

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"golang.zx2c4.com/wireguard/device"

	"conpaas/vpn/probe"
)

func TestMembersOfAGroupTalkThroughTheRelay(t *testing.T) {
	f := newFabric(t)
	list := f.members("app", 1, 2, 3)
	for _, from := range list {
		for _, to := range list {
			if from == to {
				continue
			}
			from.ping(to)
			if !to.arrives(10 * time.Second) {
				t.Fatalf("nothing came from %s to %s", from.overlay, to.overlay)
			}
		}
	}
	for _, m := range list {
		for _, other := range list {
			for _, kind := range []uint32{1, 2, 3, 4} {
				for _, p := range f.captured(m.at, kind) {
					if p.to == other.at {
						t.Errorf("%s sent to %s directly: this test tests nothing", m.at, other.at)
					}
				}
			}
		}
	}
	if s := f.server.Stats(); s.Nodes != 3 || s.Registered != 3 || s.Forwarded < 12 || s.Bytes == 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestANodeThatMovesIsFollowed(t *testing.T) {
	f := newFabric(t)
	pair := f.members("app", 1, 2)
	a, b := pair[0], pair[1]
	moved := netip.MustParseAddrPort("198.51.100.77:1234")
	old := a.at
	f.mu.Lock()
	f.nodes[moved], a.at = a, moved
	f.mu.Unlock()
	a.registerAgain()
	f.eventually("registration at the new address", func() bool { return f.where(a) == moved })
	b.ping(a)
	if !a.arrives(10 * time.Second) {
		t.Error("nothing comes to the new address")
	}
	if n := f.server.Stats().Registered; n != 2 {
		t.Errorf("%d addresses are registered, want 2: %s is still held", n, old)
	}
}

func TestRemovedNodesAreOutAtOnce(t *testing.T) {
	f := newFabric(t)
	pair := f.members("app", 1, 2)
	a, b := pair[0], pair[1]
	a.ping(b)
	if !b.arrives(10 * time.Second) {
		t.Fatal("the members do not talk")
	}
	if err := f.server.Remove(b.key()); err != nil {
		t.Fatal(err)
	}
	before := f.server.Stats()
	a.ping(b)
	b.ping(a)
	f.eventually("both are dropped", func() bool {
		s := f.server.Stats()
		return s.Unknown > before.Unknown && s.Strangers > before.Strangers
	})
	if s := f.server.Stats(); s.Forwarded != before.Forwarded || s.Nodes != 1 || s.Registered != 1 {
		t.Errorf("before %+v, after %+v", before, s)
	}
	f.server.mu.RLock()
	defer f.server.mu.RUnlock()
	if len(f.server.sessions) != 1 {
		t.Errorf("%d sessions are kept, want a's only", len(f.server.sessions))
	}
}

func TestSilentNodesExpire(t *testing.T) {
	f := newFabric(t)
	pair := f.members("app", 1, 2)
	a, b := pair[0], pair[1]
	a.ping(b)
	if !b.arrives(10 * time.Second) {
		t.Fatal("the members do not talk")
	}
	datagram := f.captured(a.at, 4)[len(f.captured(a.at, 4))-1].data
	if to, _ := f.server.handle(a.at, datagram, time.Now()); to == nil {
		t.Fatal("a datagram that was forwarded is not forwarded again: this test tests nothing")
	}
	// Copies of its keepalives do not keep it registered, nor does the life of the other end.
	for _, p := range f.captured(a.at, 4) {
		f.server.handle(a.at, p.data, time.Now().Add(100*time.Second))
	}
	later := time.Now().Add(registrationLife + time.Second)
	f.server.mu.Lock()
	f.server.addresses[b.at].seen = later
	f.server.mu.Unlock()
	if to, _ := f.server.handle(a.at, datagram, later); to != nil {
		t.Error("a datagram of a silent node was forwarded")
	}
	f.server.sweep(later.Add(registrationLife + routeLife))
	f.server.mu.RLock()
	defer f.server.mu.RUnlock()
	if len(f.server.addresses) != 0 || len(f.server.sessions) != 0 {
		t.Errorf("kept: %d addresses, %d sessions", len(f.server.addresses), len(f.server.sessions))
	}
	for _, n := range f.server.nodes {
		if len(n.routes) != 0 || n.current != nil || n.pending != nil {
			t.Errorf("kept for one node: %d routes, sessions %v %v", len(n.routes), n.current, n.pending)
		}
	}
}

func TestOneNodeCannotSendTooMuch(t *testing.T) {
	f := newFabric(t)
	f.server.rate = 2000
	pair := f.members("app", 1, 2)
	a, b := pair[0], pair[1]
	a.ping(b)
	if !b.arrives(10 * time.Second) {
		t.Fatal("the members do not talk")
	}
	all := f.captured(a.at, 4)
	datagram, now := all[len(all)-1].data, time.Now()
	passed := 0
	for range 1000 {
		if to, _ := f.server.handle(a.at, datagram, now); to != nil {
			passed += len(datagram)
		}
	}
	if passed == 0 || passed > 2000 {
		t.Errorf("%d bytes passed at once, want at most 2000", passed)
	}
	if f.server.Stats().Limited == 0 {
		t.Error("nothing is counted as limited")
	}
}

func TestRoutesAreBoundedAndNotStolen(t *testing.T) {
	g := &group{nodes: map[probe.Key]*node{}}
	a, b, c := &node{group: g, routes: map[uint32]route{}}, &node{group: g}, &node{group: g}
	now := time.Now()
	if !a.learn(7, b, now) || a.learn(7, c, now) || !a.learn(7, b, now) {
		t.Error("an index in use must stay with its owner")
	}
	if !a.learn(7, c, now.Add(routeLife)) {
		t.Error("an expired index must be free")
	}
	for i := range uint32(2 * minRoutes) {
		a.learn(i, b, now)
	}
	if len(a.routes) != minRoutes {
		t.Errorf("%d routes are kept, want %d", len(a.routes), minRoutes)
	}
}

// initiationOf makes the first message of a handshake with the relay.
func initiationOf(t *testing.T, m *member) ([]byte, *device.CookieGenerator) {
	t.Helper()
	peer, err := m.device.NewPeer(device.NoisePublicKey(m.f.server.id.public))
	if err != nil {
		t.Fatal(err)
	}
	message, err := m.device.CreateMessageInitiation(peer)
	if err != nil {
		t.Fatal(err)
	}
	b, err := binary.Append(nil, binary.LittleEndian, message)
	if err != nil {
		t.Fatal(err)
	}
	macs := new(device.CookieGenerator)
	macs.Init(device.NoisePublicKey(m.f.server.id.public))
	macs.AddMacs(b)
	return b, macs
}

func TestUnderLoadTheSourceAddressMustBeProved(t *testing.T) {
	f := newFabric(t)
	f.server.unproven = rate.NewLimiter(0, 0)
	m := f.join(1)
	if err := f.server.Add(Node{Key: m.key(), Group: "app"}); err != nil {
		t.Fatal(err)
	}
	b, macs := initiationOf(t, m)
	to, cookie := f.server.handle(m.at, b, time.Now())
	if to == nil || len(cookie) != device.MessageCookieReplySize || len(cookie) >= len(b) {
		t.Fatalf("under load the answer has %d bytes, want a cookie", len(cookie))
	}
	var reply device.MessageCookieReply
	if _, err := binary.Decode(cookie, binary.LittleEndian, &reply); err != nil {
		t.Fatal(err)
	}
	if !macs.ConsumeReply(&reply) {
		t.Fatal("the cookie is not readable")
	}
	macs.AddMacs(b)
	if _, answer := f.server.handle(netip.MustParseAddrPort("203.0.113.9:1"), b, time.Now()); len(answer) != device.MessageCookieReplySize {
		t.Errorf("with another's cookie the answer has %d bytes, want a cookie again", len(answer))
	}
	if _, answer := f.server.handle(m.at, b, time.Now()); len(answer) != device.MessageResponseSize {
		t.Errorf("with the cookie the answer has %d bytes, want a response", len(answer))
	}
}

func TestProbes(t *testing.T) {
	f := newFabric(t)
	pair := f.members("app", 1, 2, 4)
	a, b, d := pair[0], pair[1], pair[2]
	c := f.members("other", 3)[0]
	secret := func(from *member, to probe.Key) probe.Secret {
		s, err := probe.NewSecret(from.private, to)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	keyOf := func(m *member) probe.Key { return probe.Key(m.private.PublicKey().Bytes()) }
	relay := f.server.id.public
	elsewhere := netip.MustParseAddrPort("203.0.113.9:1")
	for _, test := range []struct {
		name     string
		at       netip.AddrPort
		from, to probe.Key
		secret   probe.Secret
		answered probe.Kind // by the relay; 0: not
		sentTo   *member    // forwarded to
	}{
		{"to the relay", a.at, keyOf(a), relay, secret(a, relay), probe.KindPong, nil},
		{"to the relay, from elsewhere", elsewhere, keyOf(a), relay, secret(a, relay), probe.KindUnknown, nil},
		{"to the relay, with a wrong secret", a.at, keyOf(a), relay, secret(b, relay), 0, nil},
		{"to the relay, by somebody unknown", a.at, probe.Key{9}, relay, secret(a, relay), 0, nil},
		{"to a member", a.at, keyOf(a), keyOf(b), secret(a, keyOf(b)), 0, b},
		{"to a member, from elsewhere", elsewhere, keyOf(a), keyOf(b), secret(a, keyOf(b)), 0, nil},
		{"to a member, as somebody else", a.at, keyOf(d), keyOf(b), secret(d, keyOf(b)), 0, nil},
		{"to another group", a.at, keyOf(a), keyOf(c), secret(a, keyOf(c)), 0, nil},
		{"to itself", a.at, keyOf(a), keyOf(a), secret(a, keyOf(a)), 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := probe.Message{Kind: probe.KindPing, From: test.from, To: test.to, Nonce: 42}.Seal(test.secret)
			to, answer := f.server.handle(test.at, b, time.Now())
			switch {
			case test.answered != 0:
				m, ok := probe.Parse(answer)
				if to == nil || to.AddrPort() != test.at || !ok || m.Kind != test.answered || m.Nonce != 42 || !probe.Verify(answer, test.secret) {
					t.Errorf("answer %+v to %v, want kind %d", m, to, test.answered)
				}
			case test.sentTo != nil:
				if to == nil || to.AddrPort() != test.sentTo.at || string(answer) != string(b) {
					t.Errorf("sent to %v, want %s", to, test.sentTo.at)
				}
			case to != nil:
				t.Errorf("sent to %s, want it dropped", to)
			}
		})
	}
}

func TestListsOfNodes(t *testing.T) {
	f := newFabric(t)
	key := base64.StdEncoding.EncodeToString(newPrivate(t).PublicKey().Bytes())
	for name, nodes := range map[string][]Node{
		"no key":            {{Group: "a"}},
		"key of two groups": {{Key: key, Group: "a"}, {Key: key, Group: "b"}},
	} {
		if err := f.server.SetNodes(nodes); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := f.server.SetNodes([]Node{{Key: key, Group: "a"}, {Key: key, Group: "a"}}); err != nil || f.server.Stats().Nodes != 1 {
		t.Errorf("the same node twice: %v, %d nodes", err, f.server.Stats().Nodes)
	}
	if err := f.server.Remove("x"); err == nil {
		t.Error("a key that is none is removed")
	}
	if err := f.server.SetNodes(nil); err != nil || f.server.Stats().Nodes != 0 || len(f.server.groups) != 0 {
		t.Errorf("after the empty list: %v, %+v, %d groups", err, f.server.Stats(), len(f.server.groups))
	}
}

// FuzzHandle: whatever comes from an address where nobody is registered, nothing is forwarded, and nothing is
// answered with more than came.
func FuzzHandle(f *testing.F) {
	fab := newFabric(f)
	for kind := byte(0); kind < 6; kind++ {
		for _, size := range []int{0, 4, 31, 32, 64, 92, 96, 148, 1500} {
			b := make([]byte, size)
			if size > 0 {
				b[0] = kind
			}
			f.Add(b)
		}
	}
	f.Add(probe.Message{Kind: probe.KindPing, To: fab.server.id.public}.Seal(probe.Secret{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		to, answer := fab.server.handle(netip.MustParseAddrPort("203.0.113.9:1"), b, time.Now())
		if to != nil && (len(answer) > len(b) || to.AddrPort() != netip.MustParseAddrPort("203.0.113.9:1")) {
			t.Errorf("%d bytes to %s for %d bytes of a stranger", len(answer), to, len(b))
		}
		if fab.server.Stats().Forwarded != 0 {
			t.Error("forwarded")
		}
	})
}
