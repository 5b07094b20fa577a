package path

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"conpaas/vpn"
	"conpaas/vpn/probe"
	"conpaas/vpn/wg"
)

var (
	direct = netip.MustParseAddrPort("192.0.2.1:51820")
	roamed = netip.MustParseAddrPort("192.0.2.99:1024")
	first  = Relay{Name: "manager", Key: "relay-1", Endpoint: netip.MustParseAddrPort("192.0.2.101:5000")}
	second = Relay{Name: "director", Key: "relay-2", Endpoint: netip.MustParseAddrPort("192.0.2.102:5000")}
)

// model is a peer behind paths that work or do not, as a device and a prober show it.
type model struct {
	s       *Selector
	now     time.Time
	works   map[netip.AddrPort]bool
	traffic bool
	state   wg.PeerState
	via     netip.AddrPort // where the session's handshake was: no other relay knows it
	silent  int            // seconds in which nothing came back
	changes []Change
	check   func(before netip.AddrPort, c Change)
}

func newModel(self string, endpoint netip.AddrPort, relays ...Relay) *model {
	m := &model{
		s: NewSelector(self, time.Second), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		works: map[netip.AddrPort]bool{}, state: wg.PeerState{Key: "peer", Endpoint: endpoint},
	}
	m.s.SetPeers([]vpn.Peer{{Name: "p", Key: "peer", Endpoint: endpoint}})
	m.s.SetRelays(relays)
	return m
}

// steps lets time pass.
func (m *model) steps(n int) {
	for range n {
		m.now = m.now.Add(time.Second)
		m.carry()
		changes, pings := m.s.Step(m.now, []wg.PeerState{m.state})
		for _, c := range changes {
			if m.check != nil {
				m.check(m.state.Endpoint, c)
			}
			m.apply(c)
		}
		m.changes = append(m.changes, changes...)
		for _, p := range pings {
			if p.Key == "peer" && m.works[p.At] || p.Key != "peer" {
				m.s.Answer(m.now.Add(10*time.Millisecond), probe.Answer{Key: p.Key, From: p.At, Nonce: p.Nonce})
			}
		}
	}
}

// carry is a second of traffic.
func (m *model) carry() {
	at := m.state.Endpoint
	if !m.traffic || !at.IsValid() {
		return
	}
	m.state.Sent += 148
	m.silent++
	if !m.works[at] {
		return
	}
	// WireGuard makes a handshake every two minutes, after 15 s of silence, and for want of a session.
	if m.now.Sub(m.state.Handshake) > 2*time.Minute || m.silent >= 15 {
		m.state.Handshake, m.via = m.now, at
	}
	if at == m.via || (at != first.Endpoint && at != second.Endpoint) {
		m.state.Received += 148
		m.silent = 0
	}
}

func (m *model) apply(c Change) {
	if c.Key != "peer" {
		return
	}
	m.state.Endpoint = c.Endpoint
	if c.Reset {
		m.state.Sent, m.state.Received, m.state.Handshake = 148, 0, time.Time{}
		if m.works[c.Endpoint] {
			m.state.Received, m.state.Handshake, m.via, m.silent = 92, m.now, c.Endpoint, 0
		}
	}
}

func TestSelectorFindsWhatWorks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		relays := []Relay{first, second}[:rapid.IntRange(0, 2).Draw(t, "relays")]
		endpoint := rapid.SampledFrom([]netip.AddrPort{direct, {}}).Draw(t, "endpoint")
		m := newModel(rapid.SampledFrom([]string{"a", "z"}).Draw(t, "own key"), endpoint, relays...)
		m.s.blind = rapid.Bool().Draw(t, "blind")
		paths := []netip.AddrPort{roamed}
		if endpoint.IsValid() {
			paths = append(paths, endpoint)
		}
		for _, r := range relays {
			paths = append(paths, r.Endpoint)
		}
		m.check = func(_ netip.AddrPort, c Change) {
			if c.Key == "peer" && !slices.Contains(paths, c.Endpoint) {
				t.Fatalf("change %+v to an endpoint that nobody named", c)
			}
		}
		for range rapid.IntRange(1, 5).Draw(t, "phases") {
			m.traffic = rapid.Bool().Draw(t, "traffic")
			any := false
			for _, at := range paths {
				m.works[at] = rapid.Bool().Draw(t, at.String())
				any = any || (m.works[at] && at != roamed)
			}
			m.steps(300)
			if !m.traffic || !any {
				continue
			}
			if !m.works[m.state.Endpoint] {
				t.Fatalf("after 300 s of traffic the path is %s, which does not work; %+v do", m.state.Endpoint, m.works)
			}
			if !m.s.blind && m.works[direct] && endpoint.IsValid() && m.state.Endpoint != direct {
				t.Fatalf("after 300 s the path is %s, though the direct one works", m.state.Endpoint)
			}
			// What works is left only for the direct path, when that works, and the last relay for a preferred one.
			m.check = func(before netip.AddrPort, c Change) {
				if c.Key == "peer" && before == second.Endpoint && c.Endpoint == first.Endpoint && m.works[first.Endpoint] {
					return
				}
				if c.Key == "peer" && m.works[before] && (c.Reset || c.Endpoint != direct || !m.works[direct]) {
					t.Fatalf("the path %s works and is left: %+v", before, c)
				}
			}
			m.steps(200)
			m.check = nil
		}
	})
}

func TestSelectorIsQuick(t *testing.T) {
	type scene struct {
		name   string
		self   string // a is smaller than the peer's key, z larger
		prolog func(m *model)
		event  func(m *model)
		within int // steps
		want   netip.AddrPort
	}
	scenes := []scene{
		{
			"first connection without a direct path", "a", func(*model) {},
			func(m *model) { m.works[first.Endpoint], m.traffic = true, true }, 7, first.Endpoint,
		}, {
			"first connection, larger key", "z", func(*model) {},
			func(m *model) { m.works[first.Endpoint], m.traffic = true, true }, 8, first.Endpoint,
		}, {
			"relay known before there is traffic", "a", func(m *model) { m.works[first.Endpoint] = true },
			func(*model) {}, 10, first.Endpoint,
		}, {
			"direct path lost", "a", func(m *model) { m.works[direct], m.traffic = true, true; m.steps(100) },
			func(m *model) { m.works[direct], m.works[first.Endpoint] = false, true }, 8, first.Endpoint,
		}, {
			"relay lost", "a", func(m *model) { m.works[first.Endpoint], m.traffic = true, true; m.steps(100) },
			func(m *model) { m.works[first.Endpoint], m.works[second.Endpoint] = false, true }, 8, second.Endpoint,
		}, {
			"relay lost, larger key", "z", func(m *model) { m.works[first.Endpoint], m.traffic = true, true; m.steps(100) },
			func(m *model) { m.works[first.Endpoint], m.works[second.Endpoint] = false, true }, 10, second.Endpoint,
		}, {
			"preferred relay back", "a", func(m *model) { m.works[second.Endpoint], m.traffic = true, true; m.steps(100) },
			func(m *model) { m.works[first.Endpoint] = true }, 90, first.Endpoint,
		}, {
			"direct path back", "a", func(m *model) { m.works[first.Endpoint], m.traffic = true, true; m.steps(100) },
			func(m *model) { m.works[direct] = true }, 72, direct,
		},
	}
	for _, c := range scenes {
		t.Run(c.name, func(t *testing.T) {
			m := newModel(c.self, direct, first, second)
			c.prolog(m)
			c.event(m)
			took := 0
			for m.state.Endpoint != c.want || (m.traffic && m.now.Sub(m.s.peers[0].heard) > 2*time.Second) {
				m.steps(1)
				if took++; took > c.within {
					t.Fatalf("after %d s the path is %s, want %s; changes %+v", took, m.state.Endpoint, c.want, m.changes)
				}
			}
		})
	}
}

func TestAHandshakeTriedBeforeTheFirstStepIsForcedOnTheNewPath(t *testing.T) {
	m := newModel("a", direct, first)
	m.works[first.Endpoint], m.state.Sent = true, 148
	m.steps(7)
	if len(m.changes) != 1 || !m.changes[0].Reset || m.changes[0].Endpoint != first.Endpoint {
		t.Errorf("changes %+v, want a handshake through the relay at once: WireGuard waits 5 s for its next try", m.changes)
	}
}

func TestOneWayTrafficIsNotAFault(t *testing.T) {
	m := newModel("a", direct, first)
	m.works[direct], m.works[first.Endpoint], m.traffic = true, true, true
	m.steps(10)
	// From here the peer only sends a keepalive each 10 s, as WireGuard does when it has nothing to say.
	m.traffic = false
	for i := range 300 {
		m.state.Sent += 1500
		if i%10 == 9 {
			m.state.Received += keepaliveSize
		}
		m.steps(1)
	}
	if len(m.changes) != 0 {
		t.Errorf("changes %+v, want none", m.changes)
	}
}

func TestAPeerWhoseAgentIsAwayKeepsItsPath(t *testing.T) {
	m := newModel("a", direct, first)
	m.works[direct], m.works[first.Endpoint], m.traffic = true, true, true
	m.steps(10)
	m.s.Step(m.now, []wg.PeerState{m.state})
	for range 300 {
		m.now = m.now.Add(time.Second)
		m.carry()
		// Nobody answers any probe.
		if changes, _ := m.s.Step(m.now, []wg.PeerState{m.state}); len(changes) != 0 {
			t.Fatalf("changes %+v, though the traffic is well", changes)
		}
	}
}

func TestProbesThatTheTrafficSwallowsAreNotAFault(t *testing.T) {
	m := newModel("a", direct, first)
	m.works[direct], m.works[first.Endpoint], m.traffic = true, true, true
	for range 300 {
		m.now = m.now.Add(time.Second)
		m.carry()
		changes, pings := m.s.Step(m.now, []wg.PeerState{m.state})
		if len(changes) != 0 {
			t.Fatalf("changes %+v, though the traffic is well", changes)
		}
		for _, p := range pings {
			if p.At != direct {
				m.s.Answer(m.now, probe.Answer{Key: p.Key, Nonce: p.Nonce})
			}
		}
	}
}

func TestKeepalivesAskForNoAnswer(t *testing.T) {
	m := newModel("a", direct, first)
	m.works[first.Endpoint] = true
	m.s.blind = true
	m.state.Handshake = m.now
	for range 10 {
		m.state.Sent += keepaliveSize
		m.steps(25)
	}
	if len(m.changes) != 0 {
		t.Errorf("changes %+v, want none", m.changes)
	}
}

func TestAForgetfulRelay(t *testing.T) {
	m := newModel("a", direct, first)
	m.works[first.Endpoint], m.traffic = true, true
	m.steps(20)
	m.changes = nil
	knows, registrations := false, 0
	for range 30 {
		m.now = m.now.Add(time.Second)
		m.state.Sent += 148
		if knows && !m.state.Handshake.IsZero() && len(m.changes) > 0 {
			m.state.Received += 148
		}
		changes, pings := m.s.Step(m.now, []wg.PeerState{m.state})
		for _, c := range changes {
			if c.Key == first.Key && c.Reset {
				registrations++
				knows = true
			}
			if c.Key == "peer" && c.Reset {
				m.changes = append(m.changes, c)
			}
			m.apply(c)
		}
		for _, p := range pings {
			if p.Key == first.Key {
				m.s.Answer(m.now, probe.Answer{Key: p.Key, Nonce: p.Nonce, Unknown: !knows})
			}
		}
	}
	if registrations != 1 {
		t.Errorf("the relay's peer was reset %d times, want once", registrations)
	}
	if len(m.changes) != 1 || m.changes[0].Endpoint != first.Endpoint {
		t.Errorf("the peer that uses the relay was reset so: %+v, want once, on the same relay", m.changes)
	}
}

func TestPingsAreFew(t *testing.T) {
	s := NewSelector("a", time.Second)
	var peers []vpn.Peer
	var states []wg.PeerState
	for i := range 1000 {
		key := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 1)
		peers = append(peers, vpn.Peer{Name: key, Key: key, Endpoint: at})
		states = append(states, wg.PeerState{Key: key, Endpoint: at})
	}
	s.SetPeers(peers)
	s.SetRelays([]Relay{first, second})
	now, total := time.Now(), 0
	asked := map[string]bool{}
	for i := range 600 {
		now = now.Add(time.Second)
		_, pings := s.Step(now, states)
		if len(pings) > pingsPerStep+4 {
			t.Fatalf("%d pings in one step", len(pings))
		}
		if i >= 60 {
			total += len(pings)
		}
		for _, p := range pings {
			asked[p.Key] = true
			s.Answer(now, probe.Answer{Key: p.Key, Nonce: p.Nonce})
		}
	}
	if len(asked) != 1002 {
		t.Errorf("%d of 1000 peers and 2 relays were pinged", len(asked))
	}
	if rate := float64(total) / 540; rate > 20 {
		t.Errorf("%.1f pings a second for 1000 healthy peers, want at most 20", rate)
	}
}

func TestStatus(t *testing.T) {
	m := newModel("a", direct, first)
	m.steps(1)
	if got := m.s.Status(); len(got) != 1 || got[0].Kind != KindNone {
		t.Errorf("before a handshake: %+v", got)
	}
	m.works[first.Endpoint], m.traffic = true, true
	m.steps(60)
	got := m.s.Status()[0]
	want := Status{
		Name: "p", Key: "peer", Kind: KindRelayed, Relay: "manager", Endpoint: first.Endpoint, Latency: 10 * time.Millisecond,
		Handshake: m.state.Handshake, Received: got.Received, Sent: got.Sent,
	}
	if got != want || got.Received == 0 || got.Sent == 0 {
		t.Errorf("through a relay: %+v, want %+v", got, want)
	}
	m.s.SetPeers(nil)
	if got := m.s.Status(); len(got) != 0 {
		t.Errorf("without peers: %+v", got)
	}
}
