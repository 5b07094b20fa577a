package host_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/vpn/wgtest"
)

var (
	lostPrefix  = netip.MustParsePrefix("10.210.0.3/16")
	aliveAddr   = netip.MustParseAddr("10.210.0.4")
	waitingPort = uint16(9000)
)

// waiting opens a connection to a space, on which nothing will ever come, and reads it.
func waiting(t *testing.T, from *wgtest.Space, to netip.AddrPort) (ended <-chan error) {
	t.Helper()
	conn, err := from.Dial(t.Context(), "tcp4", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	read := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	return read
}

func TestEndConnections(t *testing.T) {
	bridge := wgtest.NewBridge(t)
	self := bridge.Join(t, netip.MustParsePrefix("10.210.0.2/16"))
	lost, alive := bridge.Join(t, lostPrefix), bridge.Join(t, netip.PrefixFrom(aliveAddr, 16))
	lost.Listen(t, netip.AddrPortFrom(lostPrefix.Addr(), waitingPort))
	alive.Listen(t, netip.AddrPortFrom(aliveAddr, waitingPort))
	of, other := waiting(t, self, netip.AddrPortFrom(lostPrefix.Addr(), waitingPort)), waiting(t, self, netip.AddrPortFrom(aliveAddr, waitingPort))

	for _, want := range []int{1, 0} {
		err := self.Do(func() error {
			ended, err := host.EndConnections(lostPrefix.Addr())
			if ended != want {
				t.Errorf("%d connections were ended, want %d", ended, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-of; !errors.Is(err, syscall.ECONNABORTED) {
		t.Errorf("the program reads: %v", err)
	}
	select {
	case err := <-other:
		t.Errorf("the connection with another machine has ended, too: %v", err)
	default:
	}
	if _, err := host.EndConnections(netip.IPv6Loopback()); err == nil {
		t.Error("an IPv6 address is taken")
	}
}

// inSpace runs the test once more in a process whose every thread is in a network namespace of its own; false in the other.
func inSpace(t *testing.T) bool {
	t.Helper()
	const mark = "CONPAAS_TEST_IN_SPACE"
	if os.Getenv(mark) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// join connects the namespace of this process with a bridge.
func join(t *testing.T, to *wgtest.Space, self netip.Prefix, other netip.Prefix) {
	t.Helper()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	err = to.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "eth0"
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(home.Fd()))}); err != nil {
			return err
		}
		return up("eth0", other)
	})
	if err = errors.Join(err, up("lo", netip.Prefix{}), up("eth0", self)); err != nil {
		t.Fatal(err)
	}
}

func up(name string, at netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err == nil && at.IsValid() {
		err = netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: at.Addr().AsSlice(), Mask: net.CIDRMask(at.Bits(), 32)}})
	}
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// A machine that says nothing any more ends what waits for it, one that answers does not.
func TestLostNeighbour(t *testing.T) {
	if !inSpace(t) {
		return
	}
	self := netip.MustParsePrefix("10.210.0.2/16")
	other := wgtest.NewSpace(t)
	join(t, other, self, lostPrefix)
	at := netip.AddrPortFrom(lostPrefix.Addr(), waitingPort)
	other.Listen(t, at)
	conn, err := net.Dial("tcp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h := hosttest.New(t)
	told := make(chan struct{}, 100)
	h.Neighbours().Watch(map[netip.Addr]func(context.Context){at.Addr(): func(context.Context) { told <- struct{}{} }})

	// While it answers nothing ends, not even when it is no longer named.
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("it answers, and reading ends with %v", err)
	}
	h.Neighbours().Watch(nil)
	other.DropFrom(t, self.Addr())
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNABORTED) {
		t.Errorf("it is lost, and reading ends with %v", err)
	}
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("nobody is told of the loss")
	}
}
