package path_test

import (
	"io"
	"net/netip"
	"testing"

	"conpaas/vpn/path"
)

// BenchmarkRelay is the throughput of one TCP stream through a relay, all on this machine.
func BenchmarkRelay(b *testing.B) {
	w := newWorld(b, true, apart(b))
	w.a.Ping(b, w.b.Node)
	w.await(b, path.KindRelayed, "1")
	at := netip.AddrPortFrom(w.b.Overlay, 80)
	l := w.b.Listen(b, at)
	go func() {
		c, err := l.Accept()
		if err == nil {
			// The client measures.
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	c, err := w.a.Dial(b.Context(), "tcp4", at)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	block := make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		if _, err := c.Write(block); err != nil {
			b.Fatal(err)
		}
	}
}
