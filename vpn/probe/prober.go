//go:build linux

package probe

import (
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// answersPerSecond bounds the pings that are answered, whoever sends them.
const answersPerSecond = 2000

// Config is the node's own end.
type Config struct {
	Log        *slog.Logger
	PrivateKey string // of the overlay device, base64
	Port       uint16 // of the overlay device
	Mark       int    // firewall mark of the overlay device's datagrams
}

// Answer is a peer's answer to a ping, or somebody's Knock, of which only From is known.
type Answer struct {
	Key     string         // of the peer, base64
	From    netip.AddrPort // where it came from: the peer or a relay
	Nonce   uint64         // of the ping
	Unknown bool           // the peer is a relay at which this node is not registered
	Knock   bool           // no answer: a WireGuard handshake was begun, by a peer or a stranger; not authenticated
}

// Prober sends pings and answers those of peers. It shares the overlay device's port by a raw IPv4 socket
// with a filter in the kernel, so the device may be of either data plane and is not touched.
type Prober struct {
	log     *slog.Logger
	private *ecdh.PrivateKey
	self    Key
	port    uint16
	raw     *net.IPConn
	route   *router
	limit   *rate.Limiter

	mu    sync.RWMutex
	peers map[Key]Secret
}

// Open makes a prober in the network namespace of the calling thread. It needs CAP_NET_RAW.
func Open(c Config) (*Prober, error) {
	b, err := base64.StdEncoding.DecodeString(c.PrivateKey)
	if err != nil {
		return nil, errors.New("path prober: the private key is not in base64")
	}
	private, err := ecdh.X25519().NewPrivateKey(b)
	if err != nil {
		return nil, errors.New("path prober: the private key has not 32 bytes")
	}
	raw, err := listen(c.Port, c.Mark)
	if err != nil {
		return nil, fmt.Errorf("path prober on port %d (needs CAP_NET_RAW): %w", c.Port, err)
	}
	route, err := newRouter(c.Mark)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("path prober: %w", err), raw.Close())
	}
	return &Prober{
		log: c.Log, private: private, self: Key(private.PublicKey().Bytes()), port: c.Port, raw: raw, route: route,
		limit: rate.NewLimiter(answersPerSecond, answersPerSecond), peers: map[Key]Secret{},
	}, nil
}

// SetPeers says whose pings are answered and whose answers are believed: the public keys, base64, of all
// peers and relays.
func (p *Prober) SetPeers(keys []string) error {
	p.mu.RLock()
	known := maps.Clone(p.peers)
	p.mu.RUnlock()
	peers := make(map[Key]Secret, len(keys))
	for _, text := range keys {
		k, err := ParseKey(text)
		if err != nil {
			return err
		}
		s, ok := known[k]
		if !ok {
			if s, err = NewSecret(p.private, k); err != nil {
				return err
			}
		}
		peers[k] = s
	}
	p.mu.Lock()
	p.peers = peers
	p.mu.Unlock()
	return nil
}

// Ping sends a ping for a peer to an endpoint, its own or a relay's. Lost pings are not an error.
func (p *Prober) Ping(key string, at netip.AddrPort, nonce uint64) error {
	to, err := ParseKey(key)
	if err != nil {
		return err
	}
	p.mu.RLock()
	secret, ok := p.peers[to]
	p.mu.RUnlock()
	if !ok {
		return fmt.Errorf("ping %s: it is no peer", key)
	}
	return p.send(at, Message{Kind: KindPing, From: p.self, To: to, Nonce: nonce}.Seal(secret))
}

// send writes a UDP datagram with the device's port as its source.
func (p *Prober) send(at netip.AddrPort, payload []byte) error {
	if !at.Addr().Is4() {
		return fmt.Errorf("ping by %s: only IPv4 endpoints can be pinged", at)
	}
	source, err := p.route.source(at.Addr())
	if err != nil {
		return fmt.Errorf("ping by %s: %w", at, err)
	}
	_, err = p.raw.WriteToIP(datagram(netip.AddrPortFrom(source, p.port), at, payload), &net.IPAddr{IP: at.Addr().AsSlice()})
	if err != nil {
		return fmt.Errorf("ping by %s: %w", at, err)
	}
	return nil
}

// Run answers pings and hands answers and knocks to got, one after the other, until ctx ends. It closes the prober.
func (p *Prober) Run(ctx context.Context, got func(Answer)) error {
	defer p.Close()
	stop := context.AfterFunc(ctx, func() { p.raw.Close() })
	defer stop()
	buf := make([]byte, 2048)
	for {
		n, from, err := p.raw.ReadFromIP(buf)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			p.log.Debug("path prober: read", "err", err)
			continue
		}
		port, payload, ok := parseDatagram(buf[:n], p.port)
		if !ok {
			continue
		}
		address, _ := netip.AddrFromSlice(from.IP)
		p.receive(netip.AddrPortFrom(address.Unmap(), port), payload, got)
	}
}

func (p *Prober) receive(from netip.AddrPort, b []byte, got func(Answer)) {
	if isInitiation(b) {
		got(Answer{From: from, Knock: true})
		return
	}
	m, ok := Parse(b)
	if !ok || m.To != p.self {
		return
	}
	p.mu.RLock()
	secret, ok := p.peers[m.From]
	p.mu.RUnlock()
	if !ok || !Verify(b, secret) {
		return
	}
	if m.Kind != KindPing {
		got(Answer{Key: m.From.String(), From: from, Nonce: m.Nonce, Unknown: m.Kind == KindUnknown})
		return
	}
	if !p.limit.Allow() {
		return
	}
	if err := p.send(from, Message{Kind: KindPong, From: p.self, To: m.From, Nonce: m.Nonce}.Seal(secret)); err != nil {
		p.log.Debug("path prober: answer", "err", err)
	}
}

// Close releases the sockets; it can be called more than once.
func (p *Prober) Close() error {
	p.route.close()
	if err := p.raw.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// datagram makes a UDP datagram (RFC 768) with its checksum.
func datagram(from, to netip.AddrPort, payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b, from.Port())
	binary.BigEndian.PutUint16(b[2:], to.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	b = append(b, payload...)
	sum := uint32(unix.IPPROTO_UDP) + uint32(len(b))
	source, destination := from.Addr().As4(), to.Addr().As4()
	for _, part := range [][]byte{source[:], destination[:], b} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
		if len(part)%2 == 1 {
			sum += uint32(part[len(part)-1]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if sum = ^sum & 0xffff; sum == 0 {
		sum = 0xffff // 0 would say that there is no checksum
	}
	binary.BigEndian.PutUint16(b[6:], uint16(sum))
	return b
}

// parseDatagram takes a UDP datagram for a port apart.
func parseDatagram(b []byte, port uint16) (from uint16, payload []byte, ok bool) {
	if len(b) < 8 || binary.BigEndian.Uint16(b[2:]) != port {
		return 0, nil, false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < 8 || length > len(b) {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(b), b[8:length], true
}
