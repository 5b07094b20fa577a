package path_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"conpaas/vpn"
	"conpaas/vpn/wgtest"
)

// TestAHandshakeThatCameTooEarly has one of two nodes learn of the other first and send it something at once: its handshake
// is dropped by a node that does not know it. WireGuard would try again after 5 s.
func TestAHandshakeThatCameTooEarly(t *testing.T) {
	t.Parallel()
	pair := newPair(t, wgtest.NewBridge(t))
	a, b := pair[0], pair[1]
	// With this pace nothing happens by the clock.
	startAt(t, a, time.Hour, true, []vpn.Peer{b.Peer()})
	late := startAt(t, b, time.Hour, true, nil)
	capture := b.NewCapture(t, wgtest.Outside)
	c, err := a.Dial(t.Context(), "udp4", netip.AddrPortFrom(b.Overlay, wgtest.EchoPort))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("early")); err != nil {
		t.Fatal(err)
	}
	wgtest.Eventually(t, "b has heard the handshake", func() bool { return late.selector.Knocks() == 1 })

	if err := b.Device.Apply([]vpn.Peer{a.Peer()}, nil); err != nil {
		t.Fatal(err)
	}
	late.selector.SetPeers([]vpn.Peer{a.Peer()})
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 64)); err != nil {
		t.Fatalf("the answer to what was sent before b knew a: %v", err)
	}
	var begun []netip.Addr
	for _, frame := range capture.Stop() {
		if _, _, payload, ok := wgtest.UDP(frame); ok && len(payload) == 148 && binary.LittleEndian.Uint32(payload) == 1 {
			begun = append(begun, netip.AddrFrom4([4]byte(frame[14+12:])))
		}
	}
	// Without b's it would be a's second try that got through.
	if len(begun) < 2 || begun[0] != a.Outside || begun[len(begun)-1] != b.Outside {
		t.Errorf("handshakes were begun by %v, want %s, too early, and then %s", begun, a.Outside, b.Outside)
	}
}
