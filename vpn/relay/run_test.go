package relay_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"conpaas/vpn/relay"
	"conpaas/vpn/wg"
)

func TestRunEndsWithoutATrace(t *testing.T) {
	defer goleak.VerifyNone(t)
	private, public, err := wg.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	config := relay.Config{Log: slog.New(slog.DiscardHandler), PrivateKey: private, Listen: netip.MustParseAddrPort("127.0.0.1:0")}
	s, err := relay.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if s.PublicKey() != public {
		t.Errorf("public key %s, want %s", s.PublicKey(), public)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	// The port is free again.
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(s.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	config.Conns = []*net.UDPConn{conn}
	again, err := relay.New(config)
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- again.Run(t.Context()) }()
	conn.Close()
	if err := <-done; err == nil {
		t.Error("Run without a socket: no error")
	}
}

func TestNewRefuses(t *testing.T) {
	private, _, err := wg.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	v6, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]relay.Config{
		"no key":      {Listen: netip.MustParseAddrPort("127.0.0.1:0")},
		"short key":   {PrivateKey: "AAAA", Listen: netip.MustParseAddrPort("127.0.0.1:0")},
		"IPv6":        {PrivateKey: private, Listen: netip.MustParseAddrPort("[::1]:0")},
		"IPv6 socket": {PrivateKey: private, Conns: []*net.UDPConn{v6}},
	} {
		if _, err := relay.New(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
