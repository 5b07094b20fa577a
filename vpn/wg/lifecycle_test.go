package wg_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"conpaas/vpn"
	"conpaas/vpn/wg"
	"conpaas/vpn/wgtest"
)

// parentVariable makes the test binary a parent: what an agent is to the overlay process.
const parentVariable = "CONPAAS_WG_PARENT"

// parentJob is what the parent configures.
type parentJob struct {
	Config wg.DeviceConfig
	Peers  []vpn.Peer
}

// runParent configures a device as an agent does when it starts, says so, and waits to be killed.
func runParent() {
	text := os.Getenv(parentVariable)
	if text == "" {
		return
	}
	err := func() error {
		var job parentJob
		if err := json.Unmarshal([]byte(text), &job); err != nil {
			return err
		}
		if err := wg.Setup(context.Background(), job.Config); err != nil {
			return err
		}
		d, err := wg.Open(job.Config.Interface)
		if err != nil {
			return err
		}
		return d.Replace(job.Peers)
	}()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("configured")
	wgtest.Lifeline(func() { os.Exit(0) })
}

// startParent starts a parent in the node's namespace and waits until it has configured the device.
func startParent(t *testing.T, n *wgtest.Node, peers ...vpn.Peer) *os.Process {
	t.Helper()
	job, err := json.Marshal(parentJob{
		Config: wg.DeviceConfig{Interface: n.Iface, PrivateKey: n.Private, Port: wgtest.Port, Address: n.Overlay, Network: n.Network},
		Peers:  peers,
	})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stdin := wgtest.NewLifeline(t)
	defer stdin.Close()
	var parent *os.Process
	err = n.Do(func() (err error) {
		parent, err = os.StartProcess(self, []string{self}, &os.ProcAttr{
			Env: append(os.Environ(), parentVariable+"="+string(job)), Files: []*os.File{stdin, in, os.Stderr},
		})
		return err
	})
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "configured\n" {
		t.Fatalf("the parent says %q, %v", line, err)
	}
	return parent
}

func TestParentRestartLeavesTheOverlayAlone(t *testing.T) {
	pair := nodes(t, wgtest.NewBridge(t), 2)
	a, b := pair[0], pair[1]
	wgtest.Mesh(t, b, a)
	first := startParent(t, a, b.Peer())
	a.Ping(t, b)
	stream := a.NewStream(t, b)
	stream.Advance(t, 3)
	before, _ := a.State(t, b.Key)
	socket := udpSocket(t, a)
	for range 3 {
		if err := first.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := first.Wait(); err != nil {
			t.Fatal(err)
		}
		stream.Advance(t, 2)
		first = startParent(t, a, b.Peer())
		stream.Advance(t, 2)
	}
	if err := errors.Join(first.Kill(), stream.Stop()); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
	if _, err := first.Wait(); err != nil {
		t.Error(err)
	}
	if after, _ := a.State(t, b.Key); after.Handshake != before.Handshake || before.Handshake.IsZero() {
		t.Errorf("the session was made anew: handshake %s, then %s", before.Handshake, after.Handshake)
	}
	if now := udpSocket(t, a); now != socket {
		t.Errorf("the device opened its port anew, which loses datagrams: inode %s, then %s", socket, now)
	}
	if err := a.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the overlay process: %v", err)
	}
}

// udpSocket gives the inode of the socket that holds the device's port.
func udpSocket(t *testing.T, n *wgtest.Node) string {
	t.Helper()
	var table []byte
	err := n.Do(func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/udp")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", wgtest.Port)) {
			return fields[9]
		}
	}
	t.Fatalf("nobody holds port %d", wgtest.Port)
	return ""
}

func TestNothingLeavesUnsealedWhileTheDeviceIsGone(t *testing.T) {
	pair := nodes(t, wgtest.NewBridge(t), 2)
	a, b := pair[0], pair[1]
	a.DefaultRoute(t, b.Outside)
	wgtest.Mesh(t, a, b)
	a.Ping(t, b)
	a.Kill(t)
	wgtest.Eventually(t, "what is meant for the overlay is refused", func() bool {
		_, err := a.Dial(t.Context(), "udp4", netip.AddrPortFrom(b.Overlay, wgtest.EchoPort))
		return errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH)
	})
	a.StartProcess(t)
	a.SetUp(t)
	wgtest.Mesh(t, a)
	if err := a.Device.Replace([]vpn.Peer{b.Peer()}); err != nil {
		t.Fatal(err)
	}
	a.Ping(t, b)
}

func TestAStoppedDeviceProcessIsAnError(t *testing.T) {
	pair := nodes(t, wgtest.NewBridge(t), 2)
	a, b := pair[0], pair[1]
	wgtest.Mesh(t, a, b)
	if err := a.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	a.Device.SetPatience(50 * time.Millisecond)
	wgtest.Eventually(t, "the process stops", func() bool { _, err := a.Device.Peers(); return err != nil })
	for range 3 {
		if _, err := a.Device.Peers(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Peers: %v, want that it takes too long", err)
		}
		if err := a.Device.Apply([]vpn.Peer{b.Peer()}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Apply: %v, want that it takes too long", err)
		}
	}
	if err := a.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	a.Device.SetPatience(10 * time.Second)
	if _, err := a.Device.Peers(); err != nil {
		t.Errorf("Peers after the process goes on: %v", err)
	}
	a.Ping(t, b)
}

func TestTheKernelsDataPlane(t *testing.T) {
	s := wgtest.NewSpace(t)
	name := wgtest.InterfaceName()
	err := s.Do(func() error {
		plane := wg.Detect()
		err := wg.CreateKernel(name, 0)
		switch {
		case plane == wg.DataPlaneKernel && err != nil:
			t.Errorf("the kernel's data plane is detected, but: %v", err)
		case plane == wg.DataPlaneUserspace && (err == nil || !strings.Contains(err.Error(), "use the userspace data plane")):
			t.Errorf("without the kernel's data plane: %v", err)
		case plane != wg.DataPlaneKernel && plane != wg.DataPlaneUserspace:
			t.Errorf("Detect says %q", plane)
		}
		links, err := netlink.LinkList()
		for _, link := range links {
			if n := link.Attrs().Name; n != "lo" && n != name {
				t.Errorf("the interface %s was left behind", n)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEndpointInsideTheOverlaysRange(t *testing.T) {
	bridge, p := wgtest.NewBridge(t), plan(t)
	var pair [2]*wgtest.Node
	for i := range pair {
		overlay, err := p.Address(3, i+1)
		if err != nil {
			t.Fatal(err)
		}
		outside := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 17, 0, byte(i + 2)}), 16)
		if !p.Overlaps(outside.Masked()) {
			t.Fatalf("%s is not in the overlay's range: this test tests nothing", outside)
		}
		pair[i] = wgtest.NewNode(t, bridge, outside.Addr().String(), outside, p, overlay)
		pair[i].Echo(t)
	}
	wgtest.Mesh(t, pair[:]...)
	pair[0].Ping(t, pair[1])
	pair[1].Ping(t, pair[0])
}

func TestSetupRefusesWhatCannotBe(t *testing.T) {
	private, _, err := wg.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	good := wg.DeviceConfig{
		Interface: wgtest.InterfaceName(), PrivateKey: private, Port: 1,
		Address: netip.MustParseAddr("172.16.0.1"), Network: netip.MustParsePrefix("172.16.0.0/12"),
	}
	for name, spoil := range map[string]func(*wg.DeviceConfig){
		"name with a path":     func(c *wg.DeviceConfig) { c.Interface = "../../x" },
		"long name":            func(c *wg.DeviceConfig) { c.Interface = "abcdefghijklmnop" },
		"no key":               func(c *wg.DeviceConfig) { c.PrivateKey = "" },
		"address of elsewhere": func(c *wg.DeviceConfig) { c.Address = netip.MustParseAddr("10.0.0.1") },
		"IPv6":                 func(c *wg.DeviceConfig) { c.Network = netip.MustParsePrefix("fd00::/8") },
		"negative MTU":         func(c *wg.DeviceConfig) { c.MTU = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			spoil(&c)
			// With a context that never ends: it must be refused, not waited for.
			if err := wg.Setup(context.Background(), c); err == nil {
				t.Error("accepted")
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wg.Setup(ctx, good); !errors.Is(err, context.Canceled) {
		t.Errorf("without a device: %v, want the context's error", err)
	}
	if _, err := wg.Open(good.Interface); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open without a device: %v", err)
	}
}
