//go:build linux

package relay

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/net/ipv4"
	"golang.zx2c4.com/wireguard/device"

	"conpaas/vpn/probe"
)

const (
	batchSize = 64
	// maxDatagram is the longest that is forwarded; a path of more than 9000 bytes is not met.
	maxDatagram = 9216
)

// serve reads and answers the datagrams of one socket, one batch after the other, until it is closed.
func (s *Server) serve(socket int) error {
	sockets := make([]*ipv4.PacketConn, len(s.conns))
	out := make([]*batch, len(s.conns)) // what goes out by each
	for i, conn := range s.conns {
		sockets[i], out[i] = ipv4.NewPacketConn(conn), &batch{segment: true}
	}
	in := make([]ipv4.Message, batchSize)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, maxDatagram)}
	}
	for {
		n, err := sockets[socket].ReadBatch(in, 0)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			// What an earlier datagram met on its way (ICMP); the socket is well.
			s.log.Debug("relay: read", "err", err)
			continue
		}
		now := time.Now()
		for _, m := range in[:n] {
			from, ok := m.Addr.(*net.UDPAddr)
			if !ok {
				continue
			}
			if to, b := s.handle(place(socket, from.AddrPort()), m.Buffers[0][:m.N], now); to != nil {
				out[socketOf(to)].add(to, b)
			}
		}
		for i, b := range out {
			err := b.send(sockets[i])
			b.clear()
			if errors.Is(err, net.ErrClosed) {
				return err
			} else if err != nil {
				// No route, or a firewall refuses it.
				s.log.Debug("relay: write", "err", err)
			}
		}
	}
}

// place gives the address of a node with the socket by which it is reached, since two networks may have the same
// addresses: the zone, which IPv4 has no other use for, is the number of the socket, none for the first.
func place(socket int, at netip.AddrPort) netip.AddrPort {
	if socket == 0 {
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	return netip.AddrPortFrom(netip.AddrFrom16(at.Addr().As16()).WithZone(strconv.Itoa(socket)), at.Port())
}

// socketOf gives the number of the socket of a place.
func socketOf(to *net.UDPAddr) int {
	if to.Zone == "" {
		return 0
	}
	i, err := strconv.Atoi(to.Zone)
	if err != nil {
		panic(err) // only place makes zones
	}
	return i
}

// handle decides what to send for a datagram: b to an address, or nothing.
func (s *Server) handle(from netip.AddrPort, b []byte, now time.Time) (to *net.UDPAddr, answer []byte) {
	if probe.IsProbe(b) {
		return s.probe(from, b, now)
	}
	if len(b) < device.MinMessageSize {
		s.count.strangers.Add(1)
		return nil, nil
	}
	switch binary.LittleEndian.Uint32(b) {
	case device.MessageInitiationType:
		if len(b) != device.MessageInitiationSize {
			break
		}
		if s.id.cookies.CheckMAC1(b) {
			return s.register(from, b, now)
		}
		return s.initiate(from, b, now)
	case device.MessageResponseType:
		if len(b) != device.MessageResponseSize {
			break
		}
		return s.respond(from, b, now)
	case device.MessageCookieReplyType:
		if len(b) != device.MessageCookieReplySize {
			break
		}
		return s.transport(from, b, now)
	case device.MessageTransportType:
		if s.keepalive(from, b, now) {
			return nil, nil
		}
		return s.transport(from, b, now)
	}
	s.count.unknown.Add(1)
	return nil, nil
}

// sender gives the node that is registered at an address.
func (s *Server) sender(from netip.AddrPort, now time.Time) *node {
	n := s.addresses[from]
	if n == nil || !n.registered(now) {
		s.count.strangers.Add(1)
		return nil
	}
	return n
}

// forward sends a datagram on unchanged.
func (s *Server) forward(from, to *node, b []byte, now time.Time) (*net.UDPAddr, []byte) {
	if to == nil {
		s.count.unknown.Add(1)
		return nil, nil
	}
	if !from.bytes.AllowN(now, len(b)) {
		s.count.limited.Add(1)
		return nil, nil
	}
	s.count.forwarded.Add(1)
	s.count.bytes.Add(uint64(len(b)))
	return to.address, b
}

// initiate forwards a handshake's first message to the node of the group that it is meant for.
func (s *Server) initiate(at netip.AddrPort, b []byte, now time.Time) (*net.UDPAddr, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.sender(at, now)
	if from == nil {
		return nil, nil
	}
	if !from.work.AllowN(now, min(len(from.group.nodes), hashesBurst)) {
		s.count.limited.Add(1)
		return nil, nil
	}
	for _, to := range from.group.nodes {
		if to == from || !addressedTo(b, to.mac) {
			continue
		}
		// What comes back carries the sender's index.
		if !to.registered(now) || !to.learn(binary.LittleEndian.Uint32(b[4:]), from, now) {
			break
		}
		return s.forward(from, to, b, now)
	}
	s.count.unknown.Add(1)
	return nil, nil
}

// respond forwards a handshake's second message and learns its sender's index.
func (s *Server) respond(at netip.AddrPort, b []byte, now time.Time) (*net.UDPAddr, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.sender(at, now)
	if from == nil {
		return nil, nil
	}
	to := from.lookup(binary.LittleEndian.Uint32(b[8:]), now)
	if to == nil || !addressedTo(b, to.mac) || !to.learn(binary.LittleEndian.Uint32(b[4:]), from, now) {
		s.count.unknown.Add(1)
		return nil, nil
	}
	return s.forward(from, to, b, now)
}

// transport forwards what has only a receiver index.
func (s *Server) transport(at netip.AddrPort, b []byte, now time.Time) (*net.UDPAddr, []byte) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	from := s.sender(at, now)
	if from == nil {
		return nil, nil
	}
	return s.forward(from, from.lookup(binary.LittleEndian.Uint32(b[4:]), now), b, now)
}

// probe answers a probe for the relay and forwards one for a node of the sender's group.
func (s *Server) probe(at netip.AddrPort, b []byte, now time.Time) (*net.UDPAddr, []byte) {
	m, ok := probe.Parse(b)
	if !ok {
		s.count.unknown.Add(1)
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.To == s.id.public {
		return s.pong(at, m, b, now)
	}
	from := s.sender(at, now)
	if from == nil {
		return nil, nil
	}
	if !from.work.AllowN(now, 1) {
		s.count.limited.Add(1)
		return nil, nil
	}
	to := from.group.nodes[m.To]
	if m.From != from.key || to == nil || to == from || !to.registered(now) {
		s.count.unknown.Add(1)
		return nil, nil
	}
	return s.forward(from, to, b, now)
}

// pong tells a node whether it is registered at the address that it asks from.
func (s *Server) pong(at netip.AddrPort, m probe.Message, b []byte, now time.Time) (*net.UDPAddr, []byte) {
	n := s.nodes[m.From]
	if m.Kind != probe.KindPing || n == nil || !n.work.AllowN(now, 1) || s.know(n) != nil || !probe.Verify(b, n.secret) {
		s.count.strangers.Add(1)
		return nil, nil
	}
	kind := probe.KindUnknown
	if n.registered(now) && n.at == at {
		kind = probe.KindPong
	}
	return net.UDPAddrFromAddrPort(at), probe.Message{Kind: kind, From: s.id.public, To: n.key, Nonce: m.Nonce}.Seal(n.secret)
}
