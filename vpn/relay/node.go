//go:build linux

package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/time/rate"
	"golang.zx2c4.com/wireguard/tai64n"

	"conpaas/vpn/probe"
)

// Node is a node that may use the relay.
type Node struct {
	Key   string // WireGuard public key, base64
	Group string // only nodes of the same group (an application) reach each other
}

// The bounds of what one node can make the relay do and keep.
const (
	registrationLife = 180 * time.Second // without a keepalive, of which a node sends one each 25 s
	routeLife        = 190 * time.Second // a WireGuard session's 180 s and what is still on its way
	minRoutes        = 1024              // receiver indices known for one node, or 8 for each node of its group
	hashesPerSecond  = 200_000           // spent on finding out for whom its handshakes are: 5 % of a core
	hashesBurst      = 2_000_000
)

// node is a Node with what is known of it. Everything is guarded by the server's lock.
type node struct {
	key   probe.Key
	group *group
	mac   [blake2s.Size]byte // of handshake messages for it

	agreed []byte       // Diffie-Hellman secret with the relay, made when first needed
	secret probe.Secret // the same for probes

	stamp            tai64n.Timestamp // of its last handshake with the relay
	pending, current *session         // the newest, and the one that has proved its address
	pendingFrom      netip.AddrPort

	address *net.UDPAddr   // nil: not registered
	at      netip.AddrPort // the same
	seen    time.Time

	routes map[uint32]route // by the receiver index that this node puts on what it sends
	work   *rate.Limiter    // hashes and small messages
	bytes  *rate.Limiter    // payload
}

// route says where a node's datagrams with one receiver index go.
type route struct {
	to  *node
	end time.Time
}

// group is the nodes of an application.
type group struct {
	name  string
	nodes map[probe.Key]*node
}

// registered tells whether others reach the node.
func (n *node) registered(now time.Time) bool {
	return n.address != nil && now.Sub(n.seen) <= registrationLife
}

// learn makes the node's datagrams with an index go to another one. An index that is in use for somebody else
// stays his, so that nobody takes over a session by choosing its index.
func (n *node) learn(index uint32, to *node, now time.Time) bool {
	if old, ok := n.routes[index]; ok && old.to != to && now.Before(old.end) {
		return false
	}
	if _, ok := n.routes[index]; !ok && len(n.routes) >= max(minRoutes, 8*len(n.group.nodes)) {
		return false
	}
	n.routes[index] = route{to: to, end: now.Add(routeLife)}
	return true
}

// lookup gives the node that a datagram with an index is for, where it can be reached.
func (n *node) lookup(index uint32, now time.Time) *node {
	r, ok := n.routes[index]
	if !ok || !now.Before(r.end) || !r.to.registered(now) {
		return nil
	}
	return r.to
}

// SetNodes makes nodes the whole list of those that may use the relay. Those that were in it stay registered.
func (s *Server) SetNodes(nodes []Node) error {
	keep := make(map[probe.Key]bool, len(nodes))
	parsed, err := parseNodes(nodes)
	if err != nil {
		return err
	}
	for _, p := range parsed {
		keep[p.key] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, n := range s.nodes {
		if !keep[key] {
			s.drop(n)
		}
	}
	for _, p := range parsed {
		s.add(p.key, p.group)
	}
	return nil
}

// Add lets more nodes use the relay.
func (s *Server) Add(nodes ...Node) error {
	parsed, err := parseNodes(nodes)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parsed {
		s.add(p.key, p.group)
	}
	return nil
}

// Remove takes the relay from the nodes with these public keys (base64) at once; unknown ones are ignored.
func (s *Server) Remove(keys ...string) error {
	var errs []error
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range keys {
		key, err := probe.ParseKey(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("relay: remove a node: %w", err))
		} else if n := s.nodes[key]; n != nil {
			s.drop(n)
		}
	}
	return errors.Join(errs...)
}

type parsedNode struct {
	key   probe.Key
	group string
}

func parseNodes(nodes []Node) ([]parsedNode, error) {
	groups := make(map[probe.Key]string, len(nodes))
	list := make([]parsedNode, len(nodes))
	for i, n := range nodes {
		key, err := probe.ParseKey(n.Key)
		if err != nil {
			return nil, fmt.Errorf("relay: node of group %s: %w", n.Group, err)
		}
		if other, ok := groups[key]; ok && other != n.Group {
			return nil, fmt.Errorf("relay: key %s is in the groups %s and %s", n.Key, other, n.Group)
		}
		groups[key] = n.Group
		list[i] = parsedNode{key: key, group: n.Group}
	}
	return list, nil
}

// add makes a node known; one that is already known in the same group is left as it is.
func (s *Server) add(key probe.Key, name string) {
	if n := s.nodes[key]; n != nil {
		if n.group.name == name {
			return
		}
		s.drop(n)
	}
	g := s.groups[name]
	if g == nil {
		g = &group{name: name, nodes: map[probe.Key]*node{}}
		s.groups[name] = g
	}
	n := &node{
		key: key, group: g, mac: macKey(key), routes: map[uint32]route{},
		work:  rate.NewLimiter(hashesPerSecond, hashesBurst),
		bytes: rate.NewLimiter(rate.Limit(s.rate), s.rate),
	}
	s.nodes[key], g.nodes[key] = n, n
}

// drop forgets a node. Routes to it lead nowhere from now on, and expire.
func (s *Server) drop(n *node) {
	s.unregister(n)
	for _, session := range []*session{n.pending, n.current} {
		if session != nil {
			delete(s.sessions, session.index)
		}
	}
	delete(s.nodes, n.key)
	delete(n.group.nodes, n.key)
	if len(n.group.nodes) == 0 {
		delete(s.groups, n.group.name)
	}
}

// unregister forgets where a node is.
func (s *Server) unregister(n *node) {
	if n.address != nil {
		delete(s.addresses, n.at)
		n.address = nil
	}
}

// sweep forgets what has expired.
func (s *Server) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		if n.address != nil && !n.registered(now) {
			s.log.Debug("relay: node is silent", "key", n.key.String(), "group", n.group.name, "address", n.at)
			s.unregister(n)
		}
		for index, r := range n.routes {
			if !now.Before(r.end) {
				delete(n.routes, index)
			}
		}
	}
	for index, o := range s.sessions {
		if now.Sub(o.session.began) > registrationLife {
			delete(s.sessions, index)
			if o.node.pending == o.session {
				o.node.pending = nil
			}
			if o.node.current == o.session {
				o.node.current = nil
			}
		}
	}
}
