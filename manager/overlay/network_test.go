//go:build linux

package overlay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"conpaas/client/api"
	"conpaas/client/daemon/proc"
	"conpaas/client/join"
	"conpaas/vpn"
	"conpaas/vpn/wg"
	"conpaas/vpn/wgtest"
)

// The test's binary is also what the manager starts, and the manager itself.
func TestMain(m *testing.M) {
	wgtest.Main()
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := runProgram(ctx, os.Args[1], os.Args[2:]); err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runProgram is what cpsmanager does with these arguments.
func runProgram(ctx context.Context, name string, args []string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	switch name {
	case "overlay":
		return wg.RunUserspace(ctx, log, args[1], 0)
	case "relay":
		listen, err := netip.ParseAddrPort(args[5])
		if err != nil {
			return err
		}
		return RunRelay(ctx, log, RelayConfig{KeyDir: args[1], Nodes: args[3], Listen: listen})
	}
	var j job
	if err := json.Unmarshal([]byte(args[0]), &j); err != nil {
		return err
	}
	j.Config.Log = log
	d, err := New(j.Config)
	if err != nil {
		return err
	}
	if err := d.Configure(ctx, j.Peers, nil); err != nil {
		return err
	}
	fmt.Println("configured")
	return d.Run(ctx)
}

// job is what a manager in another namespace is told.
type job struct {
	Config Config
	Peers  []api.Peer
}

// site is a bridge with a manager's machine and two nodes.
type site struct {
	t       *testing.T
	space   *wgtest.Space
	job     job
	nodes   []*wgtest.Node
	manager *wgtest.Node // as the nodes see it; it has no process of its own
}

func newSite(t *testing.T, relay bool) *site {
	t.Helper()
	plan, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bridge := wgtest.NewBridge(t)
	outside := netip.MustParsePrefix("10.0.0.1/24")
	s := &site{t: t, space: bridge.Join(t, outside)}
	dir := t.TempDir()
	s.job.Config = Config{
		Program: self, RunDir: dir, StateDir: filepath.Join(dir, "state"), LogDir: dir, Application: 3, Interface: wgtest.InterfaceName(),
		Network: api.Network{Prefix: plan.Prefix(), ServiceBits: plan.ServiceBits(), Port: wgtest.Port, Active: true}, Address: plan.Manager(),
	}
	if relay {
		s.job.Config.Outside = outside.Addr()
	}
	private, err := join.OverlayKey(s.job.Config.StateDir, wg.NewKey)
	if err != nil {
		t.Fatal(err)
	}
	public, err := wg.Public(private)
	if err != nil {
		t.Fatal(err)
	}
	s.manager = &wgtest.Node{Space: s.space, Name: "manager", Key: public, Outside: outside.Addr(), Overlay: plan.Manager()}
	for i, name := range []string{"n1", "n2"} {
		at, err := plan.Address(0, i+1)
		if err != nil {
			t.Fatal(err)
		}
		n := wgtest.NewNode(t, bridge, name, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 2)}), 24), plan, at)
		n.Echo(t)
		s.nodes = append(s.nodes, n)
		s.job.Peers = append(s.job.Peers, api.Peer{Node: api.NodeID(name), Key: api.OverlayKey(n.Key), Address: at, Endpoint: n.Endpoint()})
	}
	t.Cleanup(s.clean)
	return s
}

// start starts the manager's program on its machine, and waits until its network is configured.
func (s *site) start() *os.Process {
	s.t.Helper()
	data, err := json.Marshal(s.job)
	if err != nil {
		s.t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	var process *os.Process
	err = s.space.Do(func() (err error) {
		process, err = os.StartProcess(s.job.Config.Program, []string{"manager", "manager", string(data)}, &os.ProcAttr{
			Env: os.Environ(), Files: []*os.File{nil, in, os.Stderr},
		})
		return err
	})
	in.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = process.Kill() // it may have been killed already
		_, _ = process.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "configured\n" {
		s.t.Fatalf("the manager says %q, %v", line, err)
	}
	return process
}

// kill ends it in the middle of whatever it does.
func (s *site) kill(p *os.Process) {
	s.t.Helper()
	if err := p.Kill(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		s.t.Fatal(err)
	}
}

// program gives the process that the manager has started.
func (s *site) program(name string) *proc.Process {
	s.t.Helper()
	p, ok, err := proc.Adopt(filepath.Join(s.job.Config.RunDir, name+".process"))
	if err != nil || !ok {
		s.t.Fatalf("the process %s: alive %v, %v", name, ok, err)
	}
	return p
}

// clean ends what the manager has left running, as the end of its machine does.
func (s *site) clean() {
	for _, name := range []string{"overlay", "relay"} {
		p, ok, err := proc.Adopt(filepath.Join(s.job.Config.RunDir, name+".process"))
		if err != nil {
			s.t.Error(err)
		}
		if !ok {
			continue
		}
		if err := p.KillSession(context.Background(), 0); err != nil {
			s.t.Error(err)
		}
		p.Release()
	}
	_ = os.Remove("/var/run/wireguard/" + s.job.Config.Interface + ".sock")
}

// meet makes the nodes know the manager.
func (s *site) meet() {
	s.t.Helper()
	for _, n := range s.nodes {
		p := s.manager.Peer()
		p.Endpoint = netip.AddrPortFrom(s.manager.Outside, wgtest.Port)
		if err := n.Device.Replace([]vpn.Peer{p}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestManagerRestartLosesNothing(t *testing.T) {
	s := newSite(t, false)
	manager := s.start()
	s.meet()
	s.manager.Echo(t)
	s.nodes[0].Ping(t, s.manager)
	stream := s.nodes[0].NewStream(t, s.manager)
	stream.Advance(t, 3)
	overlay := s.program("overlay")
	pid := overlay.PID()
	overlay.Release()
	for range 2 {
		s.kill(manager)
		stream.Advance(t, 2)
		manager = s.start()
		stream.Advance(t, 2)
	}
	again := s.program("overlay")
	defer again.Release()
	if again.PID() != pid {
		t.Errorf("the overlay's process is %d, and was %d before", again.PID(), pid)
	}
	if err := stream.Stop(); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
}

func TestOverlayProcessIsStartedAgain(t *testing.T) {
	s := newSite(t, false)
	s.start()
	s.meet()
	s.manager.Echo(t)
	s.nodes[0].Ping(t, s.manager)
	overlay := s.program("overlay")
	defer overlay.Release()
	if err := overlay.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-overlay.Done()
	for _, n := range s.nodes {
		n.Ping(t, s.manager)
	}
}

// Nodes that do not reach each other do so through the manager's relay, also while the manager itself is away.
func TestRelay(t *testing.T) {
	s := newSite(t, true)
	manager := s.start()
	private, err := join.OverlayKey(relayConfig(s.job.Config).KeyDir, wg.NewKey)
	if err != nil {
		t.Fatal(err)
	}
	public, err := wg.Public(private)
	if err != nil {
		t.Fatal(err)
	}
	wgtest.Eventually(t, "the relay serves", func() bool {
		text, err := os.ReadFile(filepath.Join(s.job.Config.LogDir, "relay.log"))
		return err == nil && strings.Contains(string(text), "relay serves")
	})
	at := netip.AddrPortFrom(s.manager.Outside, RelayPort)
	a, b := s.nodes[0], s.nodes[1]
	a.DropFrom(t, b.Outside)
	b.DropFrom(t, a.Outside)
	for _, n := range s.nodes {
		other := b.Peer()
		if n == b {
			other = a.Peer()
		}
		other.Endpoint = at
		if err := n.Device.Replace([]vpn.Peer{{Name: "relay", Key: public, Endpoint: at, Keepalive: true}, other}); err != nil {
			t.Fatal(err)
		}
	}
	a.Ping(t, b)
	s.kill(manager)
	b.Ping(t, a)

	// A node that is removed may not use it any more.
	s.job.Peers = s.job.Peers[:1]
	s.start()
	wgtest.Eventually(t, "the relay refuses a removed node", func() bool { return !a.Reaches(t, b, 300_000_000) })
}
