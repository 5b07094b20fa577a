package wg_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/vpn"
	"conpaas/vpn/wgtest"
)

func TestOnlySealedDatagramsCross(t *testing.T) {
	pair := nodes(t, wgtest.NewBridge(t), 2)
	a, b := pair[0], pair[1]
	capture := a.NewCapture(t, wgtest.Outside)
	wgtest.Mesh(t, a, b)
	a.Ping(t, b)
	b.Ping(t, a)
	stream := a.NewStream(t, b)
	stream.Advance(t, 5)
	if err := stream.Stop(); err != nil {
		t.Errorf("stream: %v", err)
	}
	sealed := 0
	for _, frame := range capture.Stop() {
		kind := binary.BigEndian.Uint16(frame[12:])
		switch {
		case kind == unix.ETH_P_ARP, kind == unix.ETH_P_IPV6: // neighbours looking for each other
			if bytes.Contains(frame, a.Overlay.AsSlice()) || bytes.Contains(frame, b.Overlay.AsSlice()) {
				t.Errorf("a frame of type %#x names an overlay address: %x", kind, frame)
			}
		case kind == unix.ETH_P_IP && frame[14+9] == unix.IPPROTO_IGMP: // the bridge asking who listens
		default:
			from, to, payload, ok := wgtest.UDP(frame)
			if !ok || from != wgtest.Port || to != wgtest.Port || len(payload) < 32 || payload[0] < 1 || payload[0] > 4 {
				t.Errorf("a frame that is not WireGuard's crossed: %x", frame)
			}
			sealed++
		}
	}
	if sealed < 10 {
		t.Errorf("captured %d sealed datagrams, want the whole traffic", sealed)
	}
}

func TestPeersChangeWhileStreamRuns(t *testing.T) {
	list := nodes(t, wgtest.NewBridge(t), 4)
	a, b, others := list[0], list[1], list[2:]
	wgtest.Mesh(t, a, b)
	a.Ping(t, b)
	stream := a.NewStream(t, b)
	stream.Advance(t, 3)
	before, _ := a.State(t, b.Key)
	for _, c := range others {
		for _, n := range list[:2] {
			if err := n.Device.Apply([]vpn.Peer{c.Peer()}, nil); err != nil {
				t.Fatal(err)
			}
			if err := c.Device.Apply([]vpn.Peer{n.Peer()}, nil); err != nil {
				t.Fatal(err)
			}
		}
		stream.Advance(t, 3)
		c.Ping(t, a)
	}
	if err := a.Device.Apply(nil, []string{others[0].Key}); err != nil {
		t.Fatal(err)
	}
	stream.Advance(t, 3)
	if others[0].Reaches(t, a, 500*time.Millisecond) {
		t.Error("a removed node still gets answers")
	}
	if err := stream.Stop(); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
	if after, _ := a.State(t, b.Key); after.Handshake != before.Handshake {
		t.Errorf("the session of a peer that was not changed was made anew: handshake %s, then %s", before.Handshake, after.Handshake)
	}
}

func TestEndpointChangesKeepTheSession(t *testing.T) {
	bridge := wgtest.NewBridge(t)
	pair := nodes(t, bridge, 2)
	a, b := pair[0], pair[1]
	bridge.Connect(t, b.Space, "eth1", netip.MustParsePrefix("10.0.1.2/24"))
	bridge.Connect(t, a.Space, "eth1", netip.MustParsePrefix("10.0.1.1/24"))
	wgtest.Mesh(t, a, b)
	a.Ping(t, b)
	stream := a.NewStream(t, b)
	stream.Advance(t, 3)
	before, _ := a.State(t, b.Key)
	second := netip.MustParseAddrPort("10.0.1.2:51820")
	// One at a time: until both ends have moved, what is still on its way on the old path turns them back.
	wgtest.Eventually(t, "both ends use the second path", func() bool {
		peer := b.Peer()
		peer.Endpoint = second
		if err := a.Device.Apply([]vpn.Peer{peer}, nil); err != nil {
			t.Fatal(err)
		}
		if err := b.Device.SetEndpoint(a.Key, netip.MustParseAddrPort("10.0.1.1:51820")); err != nil {
			t.Fatal(err)
		}
		stream.Advance(t, 1)
		state, _ := a.State(t, b.Key)
		return state.Endpoint == second
	})
	stream.Advance(t, 3)
	if err := stream.Stop(); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
	if after, _ := a.State(t, b.Key); after.Handshake != before.Handshake {
		t.Errorf("changing an endpoint made a new session: handshake %s, then %s", before.Handshake, after.Handshake)
	}
}

func TestResetMakesANewSession(t *testing.T) {
	pair := nodes(t, wgtest.NewBridge(t), 2)
	a, b := pair[0], pair[1]
	wgtest.Mesh(t, a, b)
	// The session is b's: a's own handshakes must be 17 ms apart, else the second looks like a replay.
	b.Ping(t, a)
	before, _ := a.State(t, b.Key)
	if err := a.Device.Reset(b.Key, netip.AddrPort{}); err != nil {
		t.Fatal(err)
	}
	wgtest.Eventually(t, "a handshake without any traffic", func() bool {
		after, ok := a.State(t, b.Key)
		return ok && after.Handshake.After(before.Handshake)
	})
	after, _ := a.State(t, b.Key)
	if after.Address != b.Overlay || after.Endpoint != b.Endpoint() {
		t.Errorf("after Reset the peer is %+v", after)
	}
	a.Ping(t, b)
}

func TestGreetMakesASessionAndKeepsIt(t *testing.T) {
	pair := nodes(t, wgtest.NewBridge(t), 2)
	a, b := pair[0], pair[1]
	wgtest.Mesh(t, a, b)
	if err := a.Device.Greet([]string{b.Key}); err != nil {
		t.Fatal(err)
	}
	wgtest.Eventually(t, "a handshake without any traffic", func() bool {
		state, _ := b.State(t, a.Key)
		return !state.Handshake.IsZero()
	})
	before, _ := b.State(t, a.Key)
	if err := a.Device.Greet([]string{b.Key, a.Key}); err != nil {
		t.Fatal(err)
	}
	wgtest.Eventually(t, "a keepalive", func() bool {
		state, _ := b.State(t, a.Key)
		return state.Received > before.Received
	})
	if after, _ := b.State(t, a.Key); after.Handshake != before.Handshake {
		t.Errorf("greeting a peer made the session anew: handshake %s, then %s", before.Handshake, after.Handshake)
	}
	a.Ping(t, b)
}

func TestNetworksWithTheSameAddressesAreApart(t *testing.T) {
	bridge := wgtest.NewBridge(t)
	p := plan(t)
	var networks [2][2]*wgtest.Node
	for i := range networks {
		for j := range networks[i] {
			overlay, err := p.Address(0, j+1)
			if err != nil {
				t.Fatal(err)
			}
			outside := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(10*(i+1) + j)}), 24)
			networks[i][j] = wgtest.NewNode(t, bridge, outside.Addr().String(), outside, p, overlay)
		}
		wgtest.Mesh(t, networks[i][:]...)
		name := networks[i][1].Name
		l := networks[i][1].Listen(t, netip.AddrPortFrom(networks[i][1].Overlay, 80))
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				// The client compares what it got.
				_, _ = c.Write([]byte(name))
				c.Close()
			}
		}()
	}
	for _, n := range networks {
		c, err := n[0].Dial(t.Context(), "tcp4", netip.AddrPortFrom(n[1].Overlay, 80))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 64)
		count, err := c.Read(got)
		c.Close()
		if err != nil || string(got[:count]) != n[1].Name {
			t.Errorf("%s reached %q, %v; want its own network's %s", n[0].Name, got[:count], err, n[1].Name)
		}
	}
	// A node that points its peer at a node of the other network gets no session there.
	if err := networks[0][0].Device.Reset(networks[0][1].Key, networks[1][1].Endpoint()); err != nil {
		t.Fatal(err)
	}
	networks[0][1].Echo(t)
	networks[1][1].Echo(t)
	if networks[0][0].Reaches(t, networks[0][1], time.Second) {
		t.Error("a node of one network was answered through an endpoint of another")
	}
}

func TestSpoofedOverlaySourceIsDropped(t *testing.T) {
	list := nodes(t, wgtest.NewBridge(t), 3)
	a, b, c := list[0], list[1], list[2]
	wgtest.Mesh(t, list...)
	b.Ping(t, a)
	server := a.ListenUDP(t, netip.AddrPortFrom(a.Overlay, 9999))
	b.AddAddress(t, "lo", netip.PrefixFrom(c.Overlay, 32))
	send := func(from netip.Addr, text string) {
		s := b.ListenUDP(t, netip.AddrPortFrom(from, 0))
		if _, err := s.WriteTo([]byte(text), net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.Overlay, 9999))); err != nil {
			t.Fatal(err)
		}
	}
	// One way, one session: the honest datagram that is sent last also arrives last.
	send(c.Overlay, "spoofed")
	send(b.Overlay, "honest")
	buf := make([]byte, 64)
	if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	count, from, err := server.ReadFromUDPAddrPort(buf)
	if err != nil || string(buf[:count]) != "honest" || from.Addr() != b.Overlay {
		t.Errorf("the first datagram is %q from %s, %v; want only the honest one", buf[:count], from, err)
	}
}
