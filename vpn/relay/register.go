//go:build linux

package relay

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"conpaas/vpn/probe"
)

// register answers the first message of a handshake with the relay itself. The node is not registered by it:
// the source address may be forged, and the message a copy.
func (s *Server) register(at netip.AddrPort, b []byte, now time.Time) (*net.UDPAddr, []byte) {
	if !s.unproven.AllowN(now, 1) {
		source, err := at.MarshalBinary()
		if err != nil {
			return nil, nil
		}
		if !s.id.cookies.CheckMAC2(b, source) {
			s.count.limited.Add(1)
			return net.UDPAddrFromAddrPort(at), s.cookie(b, source)
		}
		if !s.proven.Allow(at.Addr()) {
			s.count.limited.Add(1)
			return nil, nil
		}
	}
	in, err := s.id.readInitiation(b)
	if err != nil {
		s.count.strangers.Add(1)
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[in.static]
	if n == nil || s.know(n) != nil {
		s.count.strangers.Add(1)
		return nil, nil
	}
	stamp, err := in.confirm(n.agreed)
	if err != nil || !stamp.After(n.stamp) {
		s.count.strangers.Add(1)
		return nil, nil
	}
	answer, begun, err := in.respond(s.freeIndex(), now)
	if err != nil {
		s.count.strangers.Add(1)
		return nil, nil
	}
	if n.pending != nil {
		delete(s.sessions, n.pending.index)
	}
	n.stamp, n.pending, n.pendingFrom = stamp, begun, at
	s.sessions[begun.index] = owned{node: n, session: begun}
	return net.UDPAddrFromAddrPort(at), answer
}

// cookie makes the message that asks for a handshake with proof of its source address, shorter than what it
// answers. Nil where there is no randomness.
func (s *Server) cookie(b, source []byte) []byte {
	reply, err := s.id.cookies.CreateReply(b, binary.LittleEndian.Uint32(b[4:]), source)
	if err != nil {
		return nil
	}
	out := binary.LittleEndian.AppendUint32(nil, reply.Type)
	out = binary.LittleEndian.AppendUint32(out, reply.Receiver)
	out = append(out, reply.Nonce[:]...)
	return append(out, reply.Cookie[:]...)
}

// know makes the secrets with a node.
func (s *Server) know(n *node) error {
	if n.agreed != nil {
		return nil
	}
	agreed, err := agree(s.id.private, n.key[:])
	if err != nil {
		return err
	}
	secret, err := probe.NewSecret(s.id.private, n.key)
	if err != nil {
		return err
	}
	n.agreed, n.secret = agreed, secret
	return nil
}

// freeIndex gives a session index that is not in use.
func (s *Server) freeIndex() uint32 {
	for {
		var b [4]byte
		rand.Read(b[:])
		index := binary.LittleEndian.Uint32(b[:])
		if _, used := s.sessions[index]; !used {
			return index
		}
	}
}

// keepalive takes a transport message of a session with the relay; false says that it is none. A node is
// registered where it got the relay's answer: the first message that it seals with it must come from the
// address to which the answer went.
func (s *Server) keepalive(at netip.AddrPort, b []byte, now time.Time) bool {
	index := binary.LittleEndian.Uint32(b[4:])
	s.mu.RLock()
	_, ok := s.sessions[index]
	s.mu.RUnlock()
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.sessions[index]
	if !ok {
		return false
	}
	n, place := o.node, o.node.at
	if o.session == n.pending {
		place = n.pendingFrom
	}
	if place != at || !o.session.accept(b, now) {
		return false
	}
	if o.session == n.pending {
		s.move(n, at)
	}
	if o.session == n.current && n.address != nil {
		n.seen = now
	}
	return true
}

// move registers a node at the address that its pending session has proved.
func (s *Server) move(n *node, at netip.AddrPort) {
	if n.current != nil {
		delete(s.sessions, n.current.index)
	}
	n.current, n.pending = n.pending, nil
	if n.address != nil && n.at == at {
		return
	}
	s.unregister(n)
	// Who proves that he gets what is sent to an address has it now, whoever had it before.
	if other := s.addresses[at]; other != nil {
		s.unregister(other)
	}
	n.at, n.address = at, net.UDPAddrFromAddrPort(at)
	s.addresses[at] = n
	s.log.Debug("relay: node is registered", "key", n.key.String(), "group", n.group.name, "address", at)
}
