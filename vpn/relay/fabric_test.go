package relay

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tai64n"
	"golang.zx2c4.com/wireguard/tun/tuntest"

	"conpaas/vpn/probe"
)

// relayAddress is where the relay is in a fabric.
var relayAddress = netip.MustParseAddrPort("192.0.2.1:5000")

// fabric is a network in memory: WireGuard devices, the relay's decisions, and a test that sees every
// datagram and can send any from anywhere.
type fabric struct {
	t      testing.TB
	server *Server

	mu    sync.Mutex
	nodes map[netip.AddrPort]*member
	seen  []packet
	drop  func(packet) bool
}

// packet is a datagram on its way.
type packet struct {
	from, to netip.AddrPort
	data     []byte
}

func (p packet) kind() uint32 { return binary.LittleEndian.Uint32(p.data) }

// newFabric makes a fabric with a relay.
func newFabric(t testing.TB) *fabric {
	t.Helper()
	s, err := New(Config{Log: slog.New(slog.DiscardHandler), PrivateKey: base64.StdEncoding.EncodeToString(newPrivate(t).Bytes()), Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(s.conns) })
	s.proven.Init()
	t.Cleanup(s.proven.Close)
	return &fabric{t: t, server: s, nodes: map[netip.AddrPort]*member{}}
}

func newPrivate(t testing.TB) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// send carries a datagram to its end, and what the relay makes of it too.
func (f *fabric) send(p packet) {
	f.mu.Lock()
	if f.drop != nil && f.drop(p) {
		f.mu.Unlock()
		return
	}
	f.seen = append(f.seen, p)
	to := f.nodes[p.to]
	f.mu.Unlock()
	if p.to == relayAddress {
		if address, data := f.server.handle(p.from, p.data, time.Now()); address != nil {
			f.send(packet{from: relayAddress, to: address.AddrPort(), data: slices.Clone(data)})
		}
		return
	}
	if to != nil {
		select {
		case to.in <- p:
		default: // as a full socket does
		}
	}
}

// captured gives the datagrams of one type and sender.
func (f *fabric) captured(from netip.AddrPort, kind uint32) []packet {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []packet
	for _, p := range f.seen {
		if p.from == from && p.kind() == kind {
			list = append(list, p)
		}
	}
	return list
}

// member is a WireGuard device in a fabric; it is its own conn.Bind.
type member struct {
	f       *fabric
	at      netip.AddrPort
	private *ecdh.PrivateKey
	overlay netip.Addr
	device  *device.Device
	tun     *tuntest.ChannelTUN
	in      chan packet
	closed  chan struct{}
}

// join makes a device with a number, at 198.51.100.<number>:51820, with the overlay address 10.0.0.<number>,
// and the relay as its peer.
func (f *fabric) join(number byte) *member {
	f.t.Helper()
	m := &member{
		f: f, at: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, number}), 51820),
		private: newPrivate(f.t), overlay: netip.AddrFrom4([4]byte{10, 0, 0, number}),
		tun: tuntest.NewChannelTUN(), in: make(chan packet, 1024),
	}
	f.mu.Lock()
	f.nodes[m.at] = m
	f.mu.Unlock()
	m.device = device.NewDevice(m.tun.TUN(), m, &device.Logger{Verbosef: device.DiscardLogf, Errorf: device.DiscardLogf})
	f.t.Cleanup(m.device.Close)
	m.set(fmt.Sprintf("private_key=%x\nlisten_port=0\n", m.private.Bytes()))
	if err := m.device.Up(); err != nil {
		f.t.Fatal(err)
	}
	return m
}

func (m *member) set(config string) {
	m.f.t.Helper()
	if err := m.device.IpcSet(config); err != nil {
		m.f.t.Fatal(err)
	}
}

func (m *member) key() string {
	return base64.StdEncoding.EncodeToString(m.private.PublicKey().Bytes())
}

// registerAgain forgets the session with the relay and registers anew. WireGuard's time stamps have steps of
// 17 ms, and a handshake with the last one's stamp looks like a copy of it.
func (m *member) registerAgain() {
	m.f.t.Helper()
	m.set("public_key=" + hex.EncodeToString(m.f.server.id.public[:]) + "\nremove=true\n")
	m.f.eventually("a later time stamp", func() bool {
		m.f.server.mu.RLock()
		defer m.f.server.mu.RUnlock()
		return tai64n.Now().After(m.f.server.nodes[probe.Key(m.private.PublicKey().Bytes())].stamp)
	})
	m.register()
}

// register makes the relay a peer with keepalives, which starts the handshake.
func (m *member) register() {
	m.set(fmt.Sprintf("public_key=%x\nendpoint=%s\npersistent_keepalive_interval=25\n", m.f.server.id.public[:], relayAddress))
}

// peer makes another member a peer that is reached through the relay.
func (m *member) peer(other *member) {
	m.set(fmt.Sprintf("public_key=%x\nendpoint=%s\nreplace_allowed_ips=true\nallowed_ip=%s/32\n", other.private.PublicKey().Bytes(), relayAddress, other.overlay))
}

// ping sends a packet through the device to another member.
func (m *member) ping(other *member) {
	m.tun.Outbound <- tuntest.Ping(other.overlay, m.overlay)
}

// arrives waits for a packet out of the device.
func (m *member) arrives(within time.Duration) bool {
	select {
	case <-m.tun.Inbound:
		return true
	case <-time.After(within):
		return false
	}
}

// eventually waits for something.
func (f *fabric) eventually(what string, ok func() bool) {
	f.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(15 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			f.t.Fatalf("this did not happen: %s", what)
		}
	}
}

// where gives the address at which a member is registered.
func (f *fabric) where(m *member) netip.AddrPort {
	f.server.mu.RLock()
	defer f.server.mu.RUnlock()
	for at, n := range f.server.addresses {
		if n.key.String() == m.key() {
			return at
		}
	}
	return netip.AddrPort{}
}

// members makes nodes of a group that have registered and are each other's peers.
func (f *fabric) members(group string, numbers ...byte) []*member {
	f.t.Helper()
	var list []*member
	for _, number := range numbers {
		m := f.join(number)
		if err := f.server.Add(Node{Key: m.key(), Group: group}); err != nil {
			f.t.Fatal(err)
		}
		m.register()
		list = append(list, m)
	}
	for _, m := range list {
		f.eventually("registration", func() bool { return f.where(m) == m.at })
		for _, other := range list {
			if m != other {
				m.peer(other)
			}
		}
	}
	return list
}

// What follows makes a member a conn.Bind.

type endpoint struct{ netip.AddrPort }

func (endpoint) ClearSrc()             {}
func (endpoint) SrcToString() string   { return "" }
func (e endpoint) DstToString() string { return e.String() }
func (e endpoint) DstIP() netip.Addr   { return e.Addr() }
func (endpoint) SrcIP() netip.Addr     { return netip.Addr{} }

func (e endpoint) DstToBytes() []byte { return e.Addr().AsSlice() }

func (m *member) Open(uint16) ([]conn.ReceiveFunc, uint16, error) {
	closed := make(chan struct{})
	m.closed = closed
	return []conn.ReceiveFunc{func(packets [][]byte, sizes []int, from []conn.Endpoint) (int, error) {
		select {
		case p := <-m.in:
			sizes[0], from[0] = copy(packets[0], p.data), endpoint{p.from}
			return 1, nil
		case <-closed:
			return 0, net.ErrClosed
		}
	}}, m.at.Port(), nil
}

func (m *member) Close() error {
	if m.closed != nil {
		close(m.closed)
		m.closed = nil
	}
	return nil
}

func (m *member) Send(bufs [][]byte, to conn.Endpoint) error {
	m.f.mu.Lock()
	at := m.at
	m.f.mu.Unlock()
	for _, b := range bufs {
		m.f.send(packet{from: at, to: to.(endpoint).AddrPort, data: slices.Clone(b)})
	}
	return nil
}

func (m *member) SetMark(uint32) error { return nil }
func (m *member) BatchSize() int       { return 1 }

func (m *member) ParseEndpoint(text string) (conn.Endpoint, error) {
	a, err := netip.ParseAddrPort(text)
	return endpoint{a}, err
}
