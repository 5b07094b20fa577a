package wire

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/certs/mtls"
)

// crowded serves handshakes that end when free is closed; entered is sent to as each begins to be computed.
func crowded(t *testing.T, atOnce int, share time.Duration) (dial func(protocols ...string) <-chan error, entered <-chan struct{}, free func()) {
	t.Helper()
	w := newWorld(t)
	certificate := w.certificate(certs.Identity{Deployment: "test", Role: certs.RoleDirector})
	begun, release := make(chan struct{}, 100), make(chan struct{})
	config := queued(mtls.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		begun <- struct{}{}
		<-release
		return certificate, nil
	}), atOnce, share)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return func(protocols ...string) <-chan error {
		here, there := net.Pipe()
		t.Cleanup(func() { here.Close(); there.Close() })
		server := tls.Server(there, config)
		go server.HandshakeContext(ctx)
		ended := make(chan error, 1)
		mine := w.tlsConfig(nil)
		mine.NextProtos = protocols
		client := tls.Client(here, mine)
		go func() { ended <- client.HandshakeContext(ctx) }()
		return ended
	}, begun, func() { close(release) }
}

func TestTunnelsQueueAndOthersDoNot(t *testing.T) {
	const atOnce, all = 2, 5
	dial, entered, free := crowded(t, atOnce, time.Hour)
	var tunnels []<-chan error
	for range all {
		tunnels = append(tunnels, dial("http/1.1", tunnelProtocol))
	}
	for range atOnce {
		<-entered
	}
	page := dial("h2", "http/1.1")
	<-entered // though every place is taken
	select {
	case <-entered:
		t.Error("a tunnel did not wait for its place")
	case <-time.After(50 * time.Millisecond):
	}
	free()
	for _, ended := range append(tunnels, page) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// Whoever stalls in the handshake keeps its place for a moment only.
func TestStallingTunnelsHoldUpNobody(t *testing.T) {
	dial, entered, free := crowded(t, 1, time.Millisecond)
	defer free()
	for range 10 {
		dial("http/1.1", tunnelProtocol)
		<-entered
	}
}
