package wg_test

import (
	"fmt"
	"math"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"conpaas/vpn"
	"conpaas/vpn/wg"
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
	reportLoad(b)
}

// rounds is how often each of those that are compared is measured, in turns, since the host is never the same for long.
const rounds = 3

// BenchmarkOverlay compares pairs of nodes on the same kind of network and with the same MTU: the overlay's, bare
// wireguard-go, and Nebula. One TCP stream of 256 MiB from end to end, and the way there and back of a datagram.
func BenchmarkOverlay(b *testing.B) {
	own, bare := ownPair(b), barePair(b)
	nebula, err := nebulaPair(b)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nebula_tcp_gbps is not measured:", err)
	}
	var gbps, ms [3][]float64
	for range rounds {
		for i, p := range []*pair{own, bare, nebula} {
			if p != nil {
				ms[i] = append(ms[i], p.ping(b))
				gbps[i] = append(gbps[i], p.transfer(b, 256<<20))
			}
		}
	}
	b.ReportMetric(median(gbps[0]), "overlay_tcp_gbps")
	b.ReportMetric(median(gbps[1]), "overlay_tcp_gbps.baseline")
	b.ReportMetric(median(ms[0]), "overlay_ping_ms")
	b.ReportMetric(median(ms[1]), "overlay_ping_ms.baseline")
	b.ReportMetric(median(gbps[2]), "nebula_tcp_gbps")
	reportLoad(b)
}

// BenchmarkLoaded is the memory of the busier device process of a pair after a minute of one TCP stream at full speed.
func BenchmarkLoaded(b *testing.B) {
	list := nodes(b, wgtest.NewBridge(b), 2)
	wgtest.Mesh(b, list...)
	p := newPair(b, list[0].Space, list[1].Space, list[0].Overlay, list[1].Overlay)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		p.transfer(b, 256<<20)
	}
	b.ReportMetric(max(memoryMiB(b, list[0], "VmRSS"), memoryMiB(b, list[1], "VmRSS")), "overlay_loaded_rss_mib")
	b.ReportMetric(max(memoryMiB(b, list[0], "VmHWM"), memoryMiB(b, list[1], "VmHWM")), "overlay_peak_rss_mib")
	reportLoad(b)
}

// BenchmarkPeers is the time to give a device process 1000 peers: all at its start, and as a change of what it has.
func BenchmarkPeers(b *testing.B) {
	list := make([]vpn.Peer, 2000)
	for i := range list {
		_, public, err := wg.NewKey()
		if err != nil {
			b.Fatal(err)
		}
		address, err := plan(b).Address(0, i+10)
		if err != nil {
			b.Fatal(err)
		}
		list[i] = vpn.Peer{Name: fmt.Sprint("n", i), Key: public, Address: address, Endpoint: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), wgtest.Port)}
	}
	var start, delta []float64
	for range rounds {
		device := nodes(b, wgtest.NewBridge(b), 1)[0].Device
		start = append(start, milliseconds(b, func() error { return device.Replace(list[:1000]) }))
		delta = append(delta, milliseconds(b, func() error { return device.Apply(list[1000:], nil) }))
	}
	b.ReportMetric(median(start), "peers_1000_ms")
	b.ReportMetric(median(delta), "peers_1000_delta_ms")
	reportLoad(b)
}

func milliseconds(b *testing.B, f func() error) float64 {
	b.Helper()
	began := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began).Seconds() * 1000
}

// memoryMiB is the memory that a node's device process has (VmRSS), or had at the most (VmHWM).
func memoryMiB(b *testing.B, n *wgtest.Node, row string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kB float64
		if _, err := fmt.Sscanf(line, row+": %f kB", &kB); err == nil {
			return kB / 1024
		}
	}
	b.Fatal("no ", row)
	return math.NaN()
}

// reportLoad puts the load of the host beside the figures.
func reportLoad(b *testing.B) {
	b.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		b.Fatal(err)
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(load, "load")
}
