package path_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"conpaas/vpn"
	"conpaas/vpn/path"
	"conpaas/vpn/probe"
	"conpaas/vpn/relay"
	"conpaas/vpn/wg"
	"conpaas/vpn/wgtest"
)

func TestMain(m *testing.M) {
	wgtest.Main()
	os.Exit(m.Run())
}

// pace makes the selector ten times as fast as on a machine.
const pace = 100 * time.Millisecond

// relayHost is a relay in a namespace of its own, which can be stopped and started again with the same key.
type relayHost struct {
	relay   path.Relay
	private string
	space   *wgtest.Space
	nodes   []relay.Node
	server  *relay.Server
	stop    func()
}

func newRelayHost(t testing.TB, bridge *wgtest.Bridge, name string, at netip.Prefix) *relayHost {
	t.Helper()
	private, public, err := wg.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	h := &relayHost{
		relay:   path.Relay{Name: name, Key: public, Endpoint: netip.AddrPortFrom(at.Addr(), 5000)},
		private: private, space: bridge.Join(t, at),
	}
	return h
}

func (h *relayHost) start(t testing.TB) {
	t.Helper()
	server, err := relay.New(relay.Config{Log: logger(t, h.relay.Name), PrivateKey: h.private, Conns: []*net.UDPConn{h.space.ListenUDP(t, h.relay.Endpoint)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.SetNodes(h.nodes); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Run(ctx); err != nil {
			t.Errorf("relay %s: %v", h.relay.Name, err)
		}
	})
	h.server, h.stop = server, func() { cancel(); running.Wait() }
	t.Cleanup(h.stop)
}

// logger writes only where the tests are asked to tell more.
func logger(t testing.TB, name string) *slog.Logger {
	out := io.Discard
	if testing.Verbose() {
		out = t.Output()
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})).With("at", name)
}

// agent is what chooses the paths of a node.
type agent struct {
	*wgtest.Node
	selector *path.Selector
}

// start gives a node its peers and relays and starts its selector.
func start(t testing.TB, n *wgtest.Node, probing bool, peers []vpn.Peer, relays ...*relayHost) *agent {
	t.Helper()
	return startAt(t, n, pace, probing, peers, relays...)
}

// startAt is start with a selector of another pace.
func startAt(t testing.TB, n *wgtest.Node, pace time.Duration, probing bool, peers []vpn.Peer, relays ...*relayHost) *agent {
	t.Helper()
	a := &agent{Node: n, selector: path.NewSelector(n.Key, pace)}
	list := append([]vpn.Peer(nil), peers...)
	var known []path.Relay
	for _, r := range relays {
		known, list = append(known, r.relay), append(list, r.relay.Peer())
	}
	a.selector.SetPeers(peers)
	a.selector.SetRelays(known)
	if err := n.Device.Replace(list); err != nil {
		t.Fatal(err)
	}
	var prober path.Prober
	if probing {
		err := n.Do(func() error {
			p, err := probe.Open(probe.Config{Log: logger(t, n.Name), PrivateKey: n.Private, Port: wgtest.Port, Mark: wg.DefaultMark})
			prober = p
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.selector.Run(ctx, logger(t, n.Name), n.Device, prober); err != nil {
			t.Errorf("selector of %s: %v", n.Name, err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return a
}

// status gives how a node reaches another.
func (a *agent) status(key string) path.Status {
	for _, s := range a.selector.Status() {
		if s.Key == key {
			return s
		}
	}
	return path.Status{}
}

// world is two nodes a and b and two relays on one bridge.
type world struct {
	a, b   *agent
	relays [2]*relayHost
}

// newPair joins two nodes to a bridge.
func newPair(t testing.TB, bridge *wgtest.Bridge) (nodes [2]*wgtest.Node) {
	t.Helper()
	plan, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		overlay, err := plan.Address(0, i+1)
		if err != nil {
			t.Fatal(err)
		}
		at := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 24)
		nodes[i] = wgtest.NewNode(t, bridge, string(rune('a'+i)), at, plan, overlay)
		nodes[i].Echo(t)
	}
	return nodes
}

// newWorld makes a world; before is called when all is there and nothing is sent yet.
func newWorld(t testing.TB, probing bool, before func(a, b *wgtest.Node)) *world {
	t.Helper()
	bridge := wgtest.NewBridge(t)
	nodes := newPair(t, bridge)
	w := &world{}
	for i := range w.relays {
		at := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 101)}), 24)
		w.relays[i] = newRelayHost(t, bridge, string(rune('1'+i)), at)
		for _, n := range nodes {
			w.relays[i].nodes = append(w.relays[i].nodes, relay.Node{Key: n.Key, Group: "app"})
		}
		w.relays[i].start(t)
	}
	before(nodes[0], nodes[1])
	w.a = start(t, nodes[0], probing, []vpn.Peer{nodes[1].Peer()}, w.relays[:]...)
	w.b = start(t, nodes[1], probing, []vpn.Peer{nodes[0].Peer()}, w.relays[:]...)
	return w
}

// apart drops all between two nodes but what goes through a relay.
func apart(t testing.TB) func(a, b *wgtest.Node) {
	return func(a, b *wgtest.Node) {
		a.DropFrom(t, b.Outside)
		b.DropFrom(t, a.Outside)
	}
}

func (w *world) await(t testing.TB, kind path.Kind, relay string) {
	t.Helper()
	wgtest.Eventually(t, "both ends have the path "+string(kind)+" "+relay, func() bool {
		a, b := w.a.status(w.b.Key), w.b.status(w.a.Key)
		return a.Kind == kind && a.Relay == relay && b.Kind == kind && b.Relay == relay
	})
}

func TestDirectWhereItWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, func(_, _ *wgtest.Node) {})
	w.a.Ping(t, w.b.Node)
	w.await(t, path.KindDirect, "")
	wgtest.Eventually(t, "the latency is known", func() bool {
		l := w.a.status(w.b.Key).Latency
		return l > 0 && l < time.Second
	})
	for _, r := range w.relays {
		if s := r.server.Stats(); s.Forwarded != 0 {
			t.Errorf("relay %s forwarded %d datagrams", r.relay.Name, s.Forwarded)
		}
	}
}

func TestThroughTheRelayAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, apart(t))
	began := time.Now()
	w.a.Ping(t, w.b.Node)
	t.Logf("connected through the relay after %s", time.Since(began))
	w.await(t, path.KindRelayed, "1")
	stream := w.a.NewStream(t, w.b.Node)
	stream.Advance(t, 5)

	began = time.Now()
	w.relays[0].stop()
	wgtest.Eventually(t, "the next relay has the pair", func() bool { return w.relays[1].server.Stats().Forwarded > 0 && w.a.status(w.b.Key).Relay == "2" })
	stream.Advance(t, 5)
	t.Logf("moved to the next relay after %s", time.Since(began))
	w.await(t, path.KindRelayed, "2")

	w.a.Open(t)
	w.b.Open(t)
	w.await(t, path.KindDirect, "")
	stream.Advance(t, 5)
	if err := stream.Stop(); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
}

func TestARelayThatRestartsGetsItsNodesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, apart(t))
	w.relays[1].stop()
	w.a.Ping(t, w.b.Node)
	stream := w.a.NewStream(t, w.b.Node)
	stream.Advance(t, 5)
	began := time.Now()
	w.relays[0].stop()
	w.relays[0].start(t)
	stream.Advance(t, 5)
	t.Logf("the stream goes on %s after the restart", time.Since(began))
	if err := stream.Stop(); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
}

func TestWithoutProbesARelayIsFoundToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false, apart(t))
	w.a.Ping(t, w.b.Node)
	wgtest.Eventually(t, "the path is said to be relayed", func() bool { return w.a.status(w.b.Key).Kind == path.KindRelayed })
}
