package wg_test

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"conpaas/vpn/wgtest"
)

// BenchmarkMesh is the time to start 50 device processes and make each a peer of all others.
func BenchmarkMesh(b *testing.B) {
	for b.Loop() {
		bridge := wgtest.NewBridge(b)
		began := time.Now()
		list := nodes(b, bridge, 50)
		started := time.Since(began)
		wgtest.Mesh(b, list...)
		b.ReportMetric(started.Seconds(), "start-s")
		b.ReportMetric((time.Since(began) - started).Seconds(), "mesh_50_s")
		for _, n := range list[1:] {
			list[0].Ping(b, n)
		}
		b.ReportMetric(time.Since(began).Seconds(), "all-s")
	}
}

// BenchmarkTCP is the throughput of one TCP stream of 1 GiB over the overlay, both ends on this machine.
func BenchmarkTCP(b *testing.B) {
	pair := nodes(b, wgtest.NewBridge(b), 2)
	wgtest.Mesh(b, pair...)
	at := netip.AddrPortFrom(pair[1].Overlay, 80)
	l := pair[1].Listen(b, at)
	go func() {
		c, err := l.Accept()
		if err == nil {
			// The client measures.
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	c, err := pair[0].Dial(b.Context(), "tcp4", at)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	block := make([]byte, 1<<20)
	const blocks = 1 << 10
	began := time.Now()
	for range blocks {
		if _, err := c.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(blocks*float64(len(block))*8/1e9/time.Since(began).Seconds(), "overlay_tcp_gbps")
	b.ReportMetric(peakMiB(b, pair[1]), "overlay_peak_rss_mib")
}

// peakMiB is the most memory that a node's device process has had.
func peakMiB(b *testing.B, n *wgtest.Node) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kB float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kB); err == nil {
			return kB / 1024
		}
	}
	b.Fatal("no VmHWM")
	return 0
}
