package probe_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"conpaas/vpn/probe"
	"conpaas/vpn/wg"
	"conpaas/vpn/wgtest"
)

// node is a prober in a namespace.
type node struct {
	*wgtest.Space
	*probe.Prober
	private, key string
	at           netip.AddrPort
	answers      chan probe.Answer
}

// port is a UDP port that the namespace's own socket holds too, as a WireGuard device does.
const port = 51820

func newNode(t *testing.T, b *wgtest.Bridge, address string) *node {
	t.Helper()
	private, public, err := wg.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	prefix := netip.MustParsePrefix(address)
	n := &node{
		Space: b.Join(t, prefix), private: private, key: public,
		at: netip.AddrPortFrom(prefix.Addr(), port), answers: make(chan probe.Answer, 16),
	}
	err = n.Do(func() (err error) {
		n.Prober, err = probe.Open(probe.Config{Log: slog.New(slog.DiscardHandler), PrivateKey: private, Port: port, Mark: wg.DefaultMark})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.Run(ctx, func(a probe.Answer) { n.answers <- a }); err != nil {
			t.Errorf("prober %s: %v", address, err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return n
}

func (n *node) ping(t *testing.T, to *node, nonce uint64) {
	t.Helper()
	if err := n.Ping(to.key, to.at, nonce); err != nil {
		t.Fatal(err)
	}
}

func TestProbersAnswerTheirPeersOnly(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("three nodes", func(t *testing.T) {
		bridge := wgtest.NewBridge(t)
		a, b, c := newNode(t, bridge, "10.0.0.1/24"), newNode(t, bridge, "10.0.0.2/24"), newNode(t, bridge, "10.0.0.3/24")
		for _, n := range []*node{a, c} {
			if err := n.SetPeers([]string{b.key}); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.SetPeers([]string{a.key}); err != nil {
			t.Fatal(err)
		}
		device := b.ListenUDP(t, b.at)
		// b does not know c, so the only answer is a's, though c was first.
		c.ping(t, b, 1)
		a.ping(t, b, 2)
		select {
		case got := <-a.answers:
			if want := (probe.Answer{Key: b.key, From: b.at, Nonce: 2}); got != want {
				t.Errorf("answer %+v, want %+v", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no answer")
		}
		select {
		case got := <-c.answers:
			t.Errorf("a stranger got the answer %+v", got)
		default:
		}
		if err := a.Ping(c.key, c.at, 3); err == nil {
			t.Error("a ping for somebody who is no peer")
		}
		if err := a.Ping(b.key, netip.MustParseAddrPort("[fd00::1]:1"), 3); err == nil {
			t.Error("a ping to an IPv6 endpoint")
		}
		if err := a.Ping(b.key, netip.MustParseAddrPort("203.0.113.1:1"), 3); err == nil {
			t.Error("a ping where no route leads")
		}
		// The device that has the port gets what is not ours, and its sender's port is the device's.
		checkDevice(t, device, a)
	})
}

// checkDevice sends a datagram from a's port by a socket of its own and sees that it arrives untouched.
func checkDevice(t *testing.T, device *net.UDPConn, a *node) {
	t.Helper()
	own := a.ListenUDP(t, a.at)
	text := []byte("not a probe")
	if _, err := own.WriteTo(text, device.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if err := device.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 256)
	for {
		n, from, err := device.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatalf("the device's datagram: %v", err)
		}
		if probe.IsProbe(buf[:n]) {
			if from.Port() != port {
				t.Errorf("a probe came from %s, want the device's port %d", from, port)
			}
			continue
		}
		if !bytes.Equal(buf[:n], text) {
			t.Errorf("the device got %q", buf[:n])
		}
		return
	}
}

func TestForgedAnswersAreNotBelieved(t *testing.T) {
	bridge := wgtest.NewBridge(t)
	a, b := newNode(t, bridge, "10.0.0.1/24"), newNode(t, bridge, "10.0.0.2/24")
	for _, n := range []*node{a, b} {
		if err := n.SetPeers([]string{a.key, b.key}); err != nil {
			t.Fatal(err)
		}
	}
	from, err := probe.ParseKey(b.key)
	if err != nil {
		t.Fatal(err)
	}
	to, err := probe.ParseKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	forged := probe.Message{Kind: probe.KindPong, From: from, To: to, Nonce: 1}.Seal(probe.Secret{1})
	socket := b.ListenUDP(t, b.at)
	if _, err := socket.WriteTo(forged, net.UDPAddrFromAddrPort(a.at)); err != nil {
		t.Fatal(err)
	}
	a.ping(t, b, 2)
	select {
	case got := <-a.answers:
		if got.Nonce != 2 {
			t.Errorf("the answer %+v is forged", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no answer")
	}
}

func TestHandshakesAreHeard(t *testing.T) {
	bridge := wgtest.NewBridge(t)
	a, stranger := newNode(t, bridge, "10.0.0.1/24"), newNode(t, bridge, "10.0.0.2/24")
	socket := stranger.ListenUDP(t, netip.AddrPortFrom(stranger.at.Addr(), 1024))
	send := func(size int, port uint16, begin ...byte) {
		datagram := append(begin, make([]byte, size-len(begin))...)
		if _, err := socket.WriteToUDPAddrPort(datagram, netip.AddrPortFrom(a.at.Addr(), port)); err != nil {
			t.Fatal(err)
		}
	}
	send(148, port, 4)   // sealed
	send(92, port, 2)    // a handshake's second message
	send(147, port, 1)   // too short
	send(148, port+1, 1) // for somebody else
	send(148, port, 1, 1)
	send(148, port, 1)
	select {
	case got := <-a.answers:
		if want := (probe.Answer{From: netip.AddrPortFrom(stranger.at.Addr(), 1024), Knock: true}); got != want {
			t.Errorf("heard %+v, want %+v", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the handshake was not heard")
	}
	if len(a.answers) > 0 {
		t.Errorf("heard %+v too", <-a.answers)
	}
}

func TestChecksums(t *testing.T) {
	bridge := wgtest.NewBridge(t)
	a, b := newNode(t, bridge, "10.0.0.1/24"), newNode(t, bridge, "10.0.0.2/24")
	if err := a.SetPeers([]string{b.key}); err != nil {
		t.Fatal(err)
	}
	capture := b.NewCapture(t, wgtest.Outside)
	device := b.ListenUDP(t, b.at)
	for nonce := range uint64(50) {
		a.ping(t, b, nonce)
		if _, _, err := device.ReadFromUDPAddrPort(make([]byte, 256)); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for _, frame := range capture.Stop() {
		_, _, payload, ok := wgtest.UDP(frame)
		if !ok || !probe.IsProbe(payload) {
			continue
		}
		seen++
		ip := frame[14:]
		udp := ip[20:]
		// The sum over pseudo header and datagram, checksum included, is all ones (RFC 768).
		sum := uint32(17) + uint32(binary.BigEndian.Uint16(udp[4:]))
		for _, part := range [][]byte{ip[12:20], udp[:8+probe.Size]} {
			for i := 0; i < len(part); i += 2 {
				sum += uint32(binary.BigEndian.Uint16(part[i:]))
			}
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		if sum != 0xffff || binary.BigEndian.Uint16(udp[6:]) == 0 {
			t.Fatalf("checksum %#x is wrong: the sum is %#x", binary.BigEndian.Uint16(udp[6:]), sum)
		}
	}
	if seen != 50 {
		t.Errorf("captured %d probes, want 50", seen)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, key := range []string{"", "x", "AAAA"} {
		if _, err := probe.Open(probe.Config{PrivateKey: key}); err == nil {
			t.Errorf("the private key %q is accepted", key)
		}
	}
}
