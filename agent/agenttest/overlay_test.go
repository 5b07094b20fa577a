package agenttest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"conpaas/agent/agenttest"
	"conpaas/agent/host/hosttest"
	"conpaas/client/api"
	"conpaas/vpn"
	"conpaas/vpn/wgtest"
)

// machine is a network namespace in which a real cpsagent runs, in a process of its own.
type machine struct {
	*wgtest.Space
	node    api.NodeID
	root    string
	iface   string
	outside netip.Addr
	agent   *os.Process
}

// net211 is an address on the machines' common network.
func net211(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 211, 0, byte(n)}), 16)
}

func newMachine(t *testing.T, b *wgtest.Bridge, p *agenttest.Parent, node api.NodeID, n int) *machine {
	t.Helper()
	m := &machine{Space: b.Join(t, net211(n)), node: node, root: machineRoot(t, p, node), iface: wgtest.InterfaceName(), outside: net211(n).Addr()}
	t.Cleanup(func() {
		m.kill(t)
		hosttest.Open(t, m.root) // its end is the end of the machine's programs
		os.Remove("/var/run/wireguard/" + m.iface + ".sock")
	})
	m.start(t)
	return m
}

// start runs the agent in the namespace.
func (m *machine) start(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	err = m.Do(func() (err error) {
		m.agent, err = os.StartProcess(self, []string{self, "run", "--root", m.root, "--interface", m.iface}, &os.ProcAttr{
			Env: os.Environ(), Files: []*os.File{nil, nil, os.Stderr},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// kill ends the agent as a crash does.
func (m *machine) kill(t *testing.T) {
	t.Helper()
	if m.agent == nil {
		return
	}
	if err := m.agent.Kill(); err != nil {
		t.Error(err)
	}
	if _, err := m.agent.Wait(); err != nil {
		t.Error(err)
	}
	m.agent = nil
}

// resolves waits for a line of the machine's hosts file.
func (m *machine) resolves(t *testing.T, line string) {
	t.Helper()
	wgtest.Eventually(t, "the hosts file has "+line, func() bool {
		text, err := os.ReadFile(filepath.Join(m.root, "etc/hosts"))
		return err == nil && strings.Contains(string(text), line)
	})
}

// overlayProcess finds the process that carries the machine's datagrams.
func (m *machine) overlayProcess(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && strings.HasSuffix(string(text), "\x00overlay\x00--interface\x00"+m.iface+"\x00") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

// fetch gets a page from within a namespace.
func fetch(ctx context.Context, from *wgtest.Space, at netip.AddrPort) (string, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return from.Dial(ctx, "tcp4", at)
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://page/", nil)
	if err != nil {
		return "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the answer is %s", response.Status)
	}
	return string(body), err
}

// world is a manager with a device of its own, and agents on machines of their own.
type world struct {
	*agenttest.Parent
	bridge  *wgtest.Bridge
	manager *wgtest.Node

	mu   sync.Mutex
	keys map[api.NodeID]api.OverlayKey
}

func newWorld(t *testing.T) *world {
	t.Helper()
	network := netip.MustParsePrefix("172.16.0.0/12")
	plan, err := vpn.NewPlan(network, 5)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{bridge: wgtest.NewBridge(t), keys: map[api.NodeID]api.OverlayKey{}}
	w.manager = wgtest.NewNode(t, w.bridge, "n1", net211(1), plan, plan.Manager())
	w.Parent = agenttest.NewParent(t, agenttest.ParentOptions{
		Director: w.manager.Listen(t, netip.MustParseAddrPort("10.211.0.1:5555")),
		Manager: func(string) (net.Listener, error) {
			return w.manager.Listen(t, netip.AddrPortFrom(plan.Manager(), 5556)), nil
		},
		Peer: &api.Peer{Node: "n1", Key: api.OverlayKey(w.manager.Key), Address: plan.Manager(), Endpoint: w.manager.Endpoint()},
		// As a real manager, this one knows an agent before the agent has its answer.
		Joined: func(r api.JoinRequest, overlay netip.Addr) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.keys[r.Node] = r.OverlayKey
			if err := w.manager.Device.Apply([]vpn.Peer{{Name: string(r.Node), Key: string(r.OverlayKey), Address: overlay}}, nil); err != nil {
				t.Error(err)
			}
		},
	})
	return w
}

// spec gives a spec for a machine that has others as peers, with a page on the overlay and outside.
func (w *world) spec(t *testing.T, m *machine, others ...*machine) api.NodeSpec {
	t.Helper()
	spec := w.Spec(t, m.node, "Hello from "+string(m.node), 80)
	config := api.HelloworldConfig{
		Greeting: "Hello from " + string(m.node), Node: m.node, Listen: netip.AddrPortFrom(w.Overlay(m.node), 80), Outside: 8080,
	}
	var err error
	if spec.Roles[0].Config, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	spec.Expose = []uint16{8080}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range others {
		spec.Overlay.Peers = append(spec.Overlay.Peers, api.Peer{
			Node: o.node, Key: w.keys[o.node], Address: w.Overlay(o.node), Endpoint: netip.AddrPortFrom(o.outside, w.Network().Port),
		})
	}
	return spec
}

// Two machines with real agents, overlays, firewalls and nginxes: everything is reached as it should be, and nothing of
// that depends on the agents, which are killed and come back.
func TestOverlayAndNginxOutliveTheAgent(t *testing.T) {
	w := newWorld(t)
	a := newMachine(t, w.bridge, w.Parent, "n2", 2)
	b := newMachine(t, w.bridge, w.Parent, "n3", 3)
	for _, m := range []*machine{a, b} {
		w.AwaitConnected(t, m.node)
	}
	for _, pair := range [][2]*machine{{a, b}, {b, a}} {
		if err := w.Client(pair[0].node).PutSpec(t.Context(), w.Epoch(), w.spec(t, pair[0], pair[1])); err != nil {
			t.Fatal(err)
		}
	}
	pid := w.AwaitReady(t, "n2", 1).Roles[0].PIDs
	w.AwaitReady(t, "n3", 1)
	inside, outside := netip.AddrPortFrom(w.Overlay("n2"), 80), netip.AddrPortFrom(a.outside, 8080)
	served := func(when string) {
		t.Helper()
		for name, way := range map[string]struct {
			from *wgtest.Space
			at   netip.AddrPort
		}{"manager": {w.manager.Space, inside}, "peer": {b.Space, inside}, "outside": {b.Space, outside}, "itself": {a.Space, inside}} {
			if body, err := fetch(t.Context(), way.from, way.at); err != nil || !strings.Contains(body, "Hello from n2") {
				t.Errorf("%s, seen from %s: %q, %v", when, name, body, err)
			}
		}
	}
	served("at first")
	w.AwaitStatus(t, "n2", "both peers are reached directly", func(s api.NodeStatus) bool {
		return s.DataPlane == "userspace" && len(s.Overlay) == 2 &&
			!slices.ContainsFunc(s.Overlay, func(o api.PeerStatus) bool { return o.Path != api.PathDirect || o.Handshake == nil })
	})
	names := api.Names{Names: []api.HostName{{Name: "hello.shop.internal", Addresses: []netip.Addr{w.Overlay("n3")}}}}
	if err := w.Client("n2").PutNames(t.Context(), w.Epoch(), names); err != nil {
		t.Fatal(err)
	}
	a.resolves(t, w.Overlay("n3").String()+" hello.shop.internal")
	overlay := a.overlayProcess(t)
	a.kill(t)
	if err := os.Remove(filepath.Join(a.root, "etc/hosts")); err != nil {
		t.Fatal(err)
	}
	served("without the agent")
	a.start(t)
	a.resolves(t, w.Overlay("n3").String()+" hello.shop.internal")
	if s := w.AwaitReady(t, "n2", 1); !slices.Equal(s.Roles[0].PIDs, pid) {
		t.Errorf("nginx is %v; want %v as before", s.Roles[0].PIDs, pid)
	}
	served("with the agent back")
	if again := a.overlayProcess(t); again != overlay || overlay == 0 {
		t.Errorf("the overlay's process is %d; want %d as before", again, overlay)
	}
	// The death of the overlay's process is mended too.
	if err := syscall.Kill(overlay, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wgtest.Eventually(t, "the page is reached through a new overlay process", func() bool {
		if p := a.overlayProcess(t); p == 0 || p == overlay {
			return false
		}
		_, err := fetch(t.Context(), b.Space, inside)
		return err == nil
	})
	served("with another overlay process")
}
