package relay_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"conpaas/vpn"
	"conpaas/vpn/relay"
	"conpaas/vpn/wg"
	"conpaas/vpn/wgtest"
)

func TestMain(m *testing.M) {
	wgtest.Main()
	os.Exit(m.Run())
}

// Two networks that know nothing of each other, with a node at the same address in each, meet at a relay with a socket
// in both. Who may use it stands in a file that changes while it runs.
func TestOneRelayInTwoNetworks(t *testing.T) {
	plan, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	private, public, err := wg.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort("10.0.0.1:5555")
	var nodes []*wgtest.Node
	config := relay.Config{Log: slog.New(slog.DiscardHandler), PrivateKey: private}
	for i, name := range []string{"a", "b"} {
		bridge := wgtest.NewBridge(t)
		overlay, err := plan.Address(0, i+1)
		if err != nil {
			t.Fatal(err)
		}
		n := wgtest.NewNode(t, bridge, name, netip.MustParsePrefix("10.0.0.2/24"), plan, overlay)
		n.Echo(t)
		nodes = append(nodes, n)
		config.Conns = append(config.Conns, bridge.Join(t, netip.PrefixFrom(at.Addr(), 24)).ListenUDP(t, at))
	}
	a, b := nodes[0], nodes[1]
	file := filepath.Join(t.TempDir(), "nodes.json")
	let(t, file, relay.Node{Key: a.Key, Group: "1"}, relay.Node{Key: b.Key, Group: "1"})
	server, err := relay.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.RunFile(ctx, file) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for i, n := range nodes {
		other := nodes[1-i].Peer()
		other.Endpoint = at
		if err := n.Device.Replace([]vpn.Peer{{Name: "relay", Key: public, Endpoint: at, Keepalive: true}, other}); err != nil {
			t.Fatal(err)
		}
	}
	a.Ping(t, b)
	b.Ping(t, a)

	let(t, file, relay.Node{Key: a.Key, Group: "1"}, relay.Node{Key: b.Key, Group: "2"})
	wgtest.Eventually(t, "nodes of two applications do not meet", func() bool { return !a.Reaches(t, b, 300*time.Millisecond) })
}

// let replaces the file of the nodes.
func let(t *testing.T, file string, nodes ...relay.Node) {
	t.Helper()
	data, err := json.Marshal(nodes)
	if err == nil {
		err = os.WriteFile(file+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		t.Fatal(err)
	}
}
