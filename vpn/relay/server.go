//go:build linux

// Package relay forwards the sealed datagrams of overlay nodes that do not reach each other directly. It is
// one UDP port, in each of the networks that it joins, and holds no key of theirs.
//
// Nodes register by having the relay as a WireGuard peer without AllowedIPs and with keepalives: the handshake
// proves the key, the keepalive that follows it proves the address, and both go through NATs. All other
// datagrams of registered nodes are forwarded as they are: a handshake's first message to the node of the
// same group for which its MAC is meant, the rest by the receiver indices that were seen in handshakes. There
// is no header, so the overlay's MTU is the same, and both data planes work. Probes (package probe) go along.
//
// The package knows keys, groups and addresses. It knows nothing of overlay addresses, applications or
// machines, and does not decide who may use it.
package relay

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"golang.zx2c4.com/wireguard/ratelimiter"

	"conpaas/vpn/probe"
)

// Config is what a relay is made of.
type Config struct {
	Log        *slog.Logger
	PrivateKey string         // the relay's own, base64
	Listen     netip.AddrPort // IPv4; where Conns is empty
	Conns      []*net.UDPConn // IPv4 sockets that are open already, which the server then owns; nodes of all reach each other
	Rate       int            // bytes a second that one node may send, 0: 125 MB (1 Gbit/s)
}

const (
	defaultRate = 125_000_000
	// handshakesPerSecond is how many first messages the relay looks at without proof that their source
	// address is real. One costs 0.2 ms.
	handshakesPerSecond = 500
	sweepInterval       = 30 * time.Second
	socketBuffer        = 7 << 20
)

// Server is a relay. Make it with New, start it with Run.
type Server struct {
	log   *slog.Logger
	id    *identity
	conns []*net.UDPConn
	rate  int

	unproven *rate.Limiter           // handshakes from addresses that may be forged
	proven   ratelimiter.Ratelimiter // handshakes under load, by address

	mu        sync.RWMutex
	nodes     map[probe.Key]*node
	groups    map[string]*group
	addresses map[netip.AddrPort]*node
	sessions  map[uint32]owned

	count struct {
		forwarded, bytes, strangers, unknown, limited atomic.Uint64
	}
}

// owned is a session and whose it is.
type owned struct {
	node    *node
	session *session
}

// Stats counts what a relay has done since it began.
type Stats struct {
	Nodes      int    // that may use it
	Registered int    // that can be reached
	Forwarded  uint64 // datagrams
	Bytes      uint64 // of forwarded datagrams
	Strangers  uint64 // datagrams dropped: from addresses at which no node is registered
	Unknown    uint64 // datagrams dropped: for nobody that the sender may reach
	Limited    uint64 // datagrams dropped: too many
}

// New makes a relay and opens its socket where it is not given any.
func New(c Config) (*Server, error) {
	key, err := base64.StdEncoding.DecodeString(c.PrivateKey)
	if err != nil {
		return nil, errors.New("relay: the private key is not in base64")
	}
	id, err := newIdentity(key)
	if err != nil {
		return nil, err
	}
	if c.Rate == 0 {
		c.Rate = defaultRate
	}
	if len(c.Conns) == 0 {
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(c.Listen))
		if err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
		c.Conns = []*net.UDPConn{conn}
	}
	for _, conn := range c.Conns {
		if err := prepare(conn); err != nil {
			return nil, errors.Join(fmt.Errorf("relay: %w", err), closeAll(c.Conns))
		}
	}
	return &Server{
		log: c.Log, id: id, conns: c.Conns, rate: c.Rate,
		unproven: rate.NewLimiter(handshakesPerSecond, 2*handshakesPerSecond),
		nodes:    map[probe.Key]*node{}, groups: map[string]*group{},
		addresses: map[netip.AddrPort]*node{}, sessions: map[uint32]owned{},
	}, nil
}

// prepare checks a socket and gives it room.
func prepare(conn *net.UDPConn) error {
	if !local(conn).Addr().Is4() {
		return fmt.Errorf("%s is not an IPv4 socket", conn.LocalAddr())
	}
	// The kernel gives less where its limit is lower, and says nothing.
	return errors.Join(conn.SetReadBuffer(socketBuffer), conn.SetWriteBuffer(socketBuffer))
}

func closeAll(conns []*net.UDPConn) error {
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func local(conn *net.UDPConn) netip.AddrPort {
	a := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Addr is where the relay listens with its first socket.
func (s *Server) Addr() netip.AddrPort { return local(s.conns[0]) }

// PublicKey is what nodes need to register, base64.
func (s *Server) PublicKey() string { return s.id.public.String() }

// Run relays until ctx ends, which is no error. It closes the sockets; a server runs once.
func (s *Server) Run(ctx context.Context) error {
	s.proven.Init()
	defer s.proven.Close()
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running.Go(func() {
		tick := time.NewTicker(sweepInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				_ = closeAll(s.conns) // they serve no more, whatever it says
				return
			case now := <-tick.C:
				s.sweep(now)
			}
		}
	})
	ended := make(chan error, len(s.conns))
	for i := range s.conns {
		running.Go(func() { ended <- s.serve(i) })
	}
	err := <-ended
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("relay: %w", err)
}

// Stats gives the counters.
func (s *Server) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Stats{
		Nodes: len(s.nodes), Registered: len(s.addresses),
		Forwarded: s.count.forwarded.Load(), Bytes: s.count.bytes.Load(),
		Strangers: s.count.strangers.Load(), Unknown: s.count.unknown.Load(), Limited: s.count.limited.Load(),
	}
}
