//go:build linux

// Package path decides, on one node, by which endpoint the sealed datagrams of each peer go: directly where
// that works, else through a relay. It knows what the overlay device counts and what probes tell. It opens no
// sockets, never changes a peer's key or AllowedIPs, and does not know who the peers are.
package path

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

	"conpaas/vpn"
	"conpaas/vpn/probe"
	"conpaas/vpn/wg"
)

// Relay is a relay at which this node and others are registered.
type Relay struct {
	Name     string
	Key      string // WireGuard public key, base64
	Endpoint netip.AddrPort
}

// Peer is the relay as the overlay device must have it for the node to be registered: without an address,
// with keepalives.
func (r Relay) Peer() vpn.Peer {
	return vpn.Peer{Name: "relay " + r.Name, Key: r.Key, Endpoint: r.Endpoint, Keepalive: true}
}

// Change is something to do to a peer of the device.
type Change struct {
	Key      string // of a peer or a relay
	Endpoint netip.AddrPort
	Reset    bool   // forget the session and make a handshake; else only the endpoint changes
	Greet    bool   // make a handshake and change nothing
	Why      string // for the log
}

// Ping is a probe to send: for the holder of a key, to an endpoint.
type Ping struct {
	Key   string
	At    netip.AddrPort
	Nonce uint64
}

// Kind says how a peer is reached.
type Kind string

// The kinds of paths.
const (
	KindNone    Kind = "none"    // no handshake yet
	KindDirect  Kind = "direct"  // from machine to machine
	KindRelayed Kind = "relayed" // through a relay
)

// Status is how this node reaches a peer.
type Status struct {
	Name           string // of the peer
	Key            string
	Kind           Kind
	Relay          string // name, where Kind is KindRelayed
	Endpoint       netip.AddrPort
	Handshake      time.Time     // last; zero: never
	Latency        time.Duration // round trip on this path; 0: not measured
	Received, Sent int64         // bytes of sealed datagrams
}

// DefaultPace is the usual time between two steps.
const DefaultPace = time.Second

// The intervals of the selector, in paces.
const (
	directEvery   = 60 // between pings of a direct path
	relayedEvery  = 25 // between pings of a path through a relay that is in use
	relayEvery    = 15 // between pings of a relay itself
	timeout       = 1  // for the answer to a ping, and before the next after a missing one
	suspicion     = 2  // without an answer to what was sent, until the paths are pinged
	courtesy      = 2  // that the end with the larger key leaves to the other one for its handshake
	pingsPerStep  = 200
	missesForDead = 3
)

// What WireGuard itself waits for, whatever the pace. When a session is alive a datagram is answered, by a
// keepalive at the latest, within 10 s, and a handshake is tried again after 5 s.
const (
	silence       = 15 * time.Second
	handshakeTry  = 5 * time.Second
	longestTry    = time.Minute
	sessionLife   = 180 * time.Second
	keepaliveSize = 32 // bytes of a keepalive, which asks for no answer
)

// Selector is the state of all peers' paths. Its methods may be called from several goroutines.
type Selector struct {
	self string // own public key
	pace time.Duration

	mu     sync.Mutex
	blind  bool    // there is no prober: paths are judged by what the device counts
	peers  []*link // sorted by key
	relays []*relayState
	nonce  uint64
	cursor int    // of the peer that is pinged first, so that all get their turn
	edits  uint64 // counts SetPeers and SetRelays
	knocks map[netip.AddrPort]time.Time
	wake   chan struct{} // holds one token: do the next step now
}

// NewSelector makes a selector without peers for the node with a public key (base64). pace is the time between
// two steps, 0 for DefaultPace.
func NewSelector(self string, pace time.Duration) *Selector {
	if pace <= 0 {
		pace = DefaultPace
	}
	var b [8]byte
	rand.Read(b[:])
	return &Selector{self: self, pace: pace, nonce: binary.BigEndian.Uint64(b[:]), knocks: map[netip.AddrPort]time.Time{}, wake: make(chan struct{}, 1)}
}

// SetPeers makes peers the whole list; what is known of those that stay is kept. Their Endpoint is the direct
// one, if it is valid. The device is told before, so that those who knocked too early can be greeted.
func (s *Selector) SetPeers(peers []vpn.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := make(map[string]*link, len(s.peers))
	for _, l := range s.peers {
		known[l.peer.Key] = l
	}
	s.peers = s.peers[:0:0]
	for _, p := range peers {
		l := known[p.Key]
		if l == nil {
			l = &link{trials: map[netip.AddrPort]*trial{}, wait: handshakeTry}
			if _, knocked := s.knocks[p.Endpoint]; knocked {
				s.hurry()
			}
		}
		l.peer = p
		s.peers = append(s.peers, l)
	}
	slices.SortFunc(s.peers, func(a, b *link) int { return cmp.Compare(a.peer.Key, b.peer.Key) })
	s.edits++
}

// SetRelays makes relays the whole list, in order of preference.
func (s *Selector) SetRelays(relays []Relay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := make(map[Relay]*relayState, len(s.relays))
	for _, r := range s.relays {
		known[r.relay] = r
	}
	s.relays = s.relays[:0:0]
	for _, r := range relays {
		state := known[r]
		if state == nil {
			state = &relayState{relay: r}
		}
		s.relays = append(s.relays, state)
	}
	s.edits++
}

// keys gives the public keys of all peers and relays, and the number of edits that led to them.
func (s *Selector) keys() ([]string, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for _, l := range s.peers {
		keys = append(keys, l.peer.Key)
	}
	for _, r := range s.relays {
		keys = append(keys, r.relay.Key)
	}
	return keys, s.edits
}

// Step takes what the device says of its peers and gives what to change and whom to ping now.
func (s *Selector) Step(now time.Time, states []wg.PeerState) ([]Change, []Ping) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byKey := make(map[string]wg.PeerState, len(states))
	for _, st := range states {
		byKey[st.Key] = st
	}
	s.forget(now)
	var changes []Change
	for _, l := range s.peers {
		st, ok := byKey[l.peer.Key]
		l.observe(now, st, ok)
		if !ok {
			continue
		}
		l.expire(now, s.pace)
		changes = append(changes, s.choose(now, l)...)
	}
	for _, r := range s.relays {
		changes = append(changes, s.tend(now, r)...)
	}
	return changes, s.pings(now)
}

// Answer takes a probe's answer or a knock.
func (s *Selector) Answer(now time.Time, a probe.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Knock {
		s.knock(now, a.From)
		return
	}
	for _, r := range s.relays {
		if r.relay.Key == a.Key && r.trial.answer(now, a.Nonce) {
			r.heard(a.Unknown)
			return
		}
	}
	i, ok := slices.BinarySearchFunc(s.peers, a.Key, func(l *link, key string) int { return cmp.Compare(l.peer.Key, key) })
	if !ok {
		return
	}
	for _, t := range s.peers[i].trials {
		if t.answer(now, a.Nonce) {
			return
		}
	}
}

// Status tells how every peer that the device has is reached, sorted by name.
func (s *Selector) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Status
	for _, l := range s.peers {
		if !l.present {
			continue
		}
		st := Status{
			Name: l.peer.Name, Key: l.peer.Key, Kind: KindNone, Endpoint: l.state.Endpoint,
			Handshake: l.state.Handshake, Received: l.state.Received, Sent: l.state.Sent,
		}
		if !st.Handshake.IsZero() {
			st.Kind = KindDirect
			if r := s.relayAt(st.Endpoint); r != nil {
				st.Kind, st.Relay = KindRelayed, r.Name
			}
			if t := l.trials[st.Endpoint]; t != nil && t.verdict() == works {
				st.Latency = t.latency
			}
		}
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// relayAt gives the relay that has an endpoint.
func (s *Selector) relayAt(at netip.AddrPort) *Relay {
	for _, r := range s.relays {
		if r.relay.Endpoint == at {
			return &r.relay
		}
	}
	return nil
}
