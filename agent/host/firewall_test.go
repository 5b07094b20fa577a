package host_test

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/vpn/wgtest"
)

const (
	wireguardPort = 51820
	exposedPort   = 80
	closedPort    = 22
)

// machine is a namespace with an outside interface and another that plays the overlay's device, and a neighbour
// on both.
type machine struct {
	inside, neighbour *wgtest.Space
}

func newMachine(t *testing.T) machine {
	t.Helper()
	outside, overlay := wgtest.NewBridge(t), wgtest.NewBridge(t)
	m := machine{inside: outside.Join(t, netip.MustParsePrefix("10.210.0.2/16")), neighbour: outside.Join(t, netip.MustParsePrefix("10.210.0.3/16"))}
	overlay.Connect(t, m.inside, "cps0", netip.MustParsePrefix("172.16.0.2/12"))
	overlay.Connect(t, m.neighbour, "cps0", netip.MustParsePrefix("172.16.0.3/12"))
	for _, port := range []uint16{exposedPort, closedPort} {
		m.inside.Listen(t, netip.AddrPortFrom(netip.IPv4Unspecified(), port))
	}
	return m
}

func (m machine) apply(t *testing.T, f host.Firewall) {
	t.Helper()
	h := hosttest.New(t)
	if err := m.inside.Do(func() error { return h.ApplyFirewall(f) }); err != nil {
		t.Fatal(err)
	}
}

func rules(expose ...uint16) host.Firewall {
	return host.Firewall{Interface: "cps0", Network: netip.MustParsePrefix("172.16.0.0/12"), Port: wireguardPort, Expose: expose}
}

// begin sends the first packet of a TCP connection and does not wait for what comes.
func begin(from *wgtest.Space, source netip.Addr, to netip.AddrPort) (fd int, err error) {
	err = from.Do(func() error {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if source.IsValid() {
			if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: source.As4()}); err != nil {
				return err
			}
		}
		err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		if errors.Is(err, unix.EINPROGRESS) {
			return nil
		}
		return err
	})
	return fd, err
}

// decided tells whether an answer of any kind has come for a connection, within a time in milliseconds.
func decided(t *testing.T, fd, within int) bool {
	t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, within)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

// passes tells which of the connections are let in. A packet that is let in is always answered; one that is dropped
// never is: that is certain once a later packet on the same way has been answered.
func (m machine) passes(t *testing.T, source netip.Addr, to ...netip.AddrPort) []bool {
	t.Helper()
	fds := make([]int, len(to))
	for i, address := range to {
		fd, err := begin(m.neighbour, source, address)
		if err != nil {
			t.Fatalf("connect to %s: %v", address, err)
		}
		defer unix.Close(fd)
		fds[i] = fd
	}
	last, err := begin(m.neighbour, netip.Addr{}, netip.MustParseAddrPort("10.210.0.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(last)
	if !decided(t, last, 10_000) {
		t.Fatal("the exposed port does not answer")
	}
	got := make([]bool, len(to))
	for i, fd := range fds {
		got[i] = decided(t, fd, 0)
	}
	return got
}

func TestFirewallLetsInWhatIsExposed(t *testing.T) {
	m := newMachine(t)
	outside := []netip.AddrPort{netip.MustParseAddrPort("10.210.0.2:80"), netip.MustParseAddrPort("10.210.0.2:22"), netip.MustParseAddrPort("10.210.0.2:5556")}
	if got := m.passes(t, netip.Addr{}, outside...); !got[0] || !got[1] || !got[2] {
		t.Fatalf("without a firewall: %v; want all", got)
	}
	m.apply(t, rules(exposedPort))
	if got := m.passes(t, netip.Addr{}, outside...); !got[0] || got[1] || got[2] {
		t.Errorf("exposed, listening and unused port from outside: %v; want only the exposed one", got)
	}
	overlay := []netip.AddrPort{netip.MustParseAddrPort("172.16.0.2:80"), netip.MustParseAddrPort("172.16.0.2:22")}
	if got := m.passes(t, netip.Addr{}, overlay...); !got[0] || !got[1] {
		t.Errorf("from the overlay: %v; want all", got)
	}
	// Applied again with other ports, the old ones are closed.
	m.apply(t, rules(exposedPort, closedPort))
	if got := m.passes(t, netip.Addr{}, outside...); !got[1] || got[2] {
		t.Errorf("with both exposed: %v", got)
	}
}

// A neighbour on the outside that takes an overlay address as its own is not listened to, not even on exposed ports.
func TestFirewallDropsSpoofedSources(t *testing.T) {
	m := newMachine(t)
	m.neighbour.AddAddress(t, "eth0", netip.MustParsePrefix("172.16.0.77/32"))
	m.apply(t, rules(exposedPort))
	spoofed := netip.MustParseAddr("172.16.0.77")
	if got := m.passes(t, spoofed, netip.MustParseAddrPort("10.210.0.2:80")); got[0] {
		t.Error("a connection from an overlay address on the outside was let in")
	}
}

func TestFirewallKnowsAnswersAndWireGuard(t *testing.T) {
	m := newMachine(t)
	m.apply(t, rules(exposedPort))
	m.neighbour.Listen(t, netip.MustParseAddrPort("10.210.0.3:5555"))
	c, err := m.inside.Dial(t.Context(), "tcp4", netip.MustParseAddrPort("10.210.0.3:5555"))
	if err != nil {
		t.Fatalf("the machine cannot call out: %v", err)
	}
	c.Close()
	sealed := m.inside.ListenUDP(t, netip.AddrPortFrom(netip.IPv4Unspecified(), wireguardPort))
	other := m.inside.ListenUDP(t, netip.AddrPortFrom(netip.IPv4Unspecified(), 53))
	from := m.neighbour.ListenUDP(t, netip.MustParseAddrPort("10.210.0.3:4000"))
	for _, to := range []string{"10.210.0.2:53", "10.210.0.2:51820"} {
		if _, err := from.WriteToUDPAddrPort([]byte(to), netip.MustParseAddrPort(to)); err != nil {
			t.Fatal(err)
		}
	}
	buffer := make([]byte, 100)
	if _, _, err := sealed.ReadFromUDPAddrPort(buffer); err != nil {
		t.Fatal(err)
	}
	raw, err := other.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Read(func(fd uintptr) bool {
		if n, err := unix.Read(int(fd), buffer); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("a datagram to another port was let in: %q, %v", buffer[:max(n, 0)], err)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}
