package bridge_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/bridge"
	"conpaas/director/cloud/local/netns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a namespace connected to the bridge under test.
type machine struct {
	*netns.Namespace
	port bridge.Port
}

// namespace makes an empty namespace without IPv6, whose chatter would disturb the counters.
func namespace(t *testing.T) *netns.Namespace {
	t.Helper()
	path := filepath.Join(t.TempDir(), "netns")
	if err := netns.Pin(path); err != nil {
		t.Fatal(err)
	}
	n, err := netns.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(n.Close(), unix.Unmount(path, 0)) })
	for _, conf := range []string{"all", "default"} {
		err := n.Do(func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/"+conf+"/disable_ipv6", []byte("1"), 0) })
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return n
}

// cloud makes a bridge with n machines.
func cloud(t *testing.T, n int) (*bridge.Network, []*machine) {
	t.Helper()
	net := &bridge.Network{
		Namespace: namespace(t), Address: netip.MustParsePrefix("10.210.0.1/16"), Director: 5555, Underlay: [2]uint16{51820, 51821},
	}
	if err := net.Up(nil); err != nil {
		t.Fatal(err)
	}
	machines := make([]*machine, n)
	for i := range machines {
		m := &machine{namespace(t), bridge.Port{Name: fmt.Sprint("m", i), Address: netip.AddrFrom4([4]byte{10, 210, 0, byte(i + 2)})}}
		if err := net.Connect(m.Namespace, m.port); err != nil {
			t.Fatal(err)
		}
		machines[i] = m
	}
	return net, machines
}

// dropped reads the counter at the end of a chain.
func dropped(t *testing.T, n *bridge.Network, chain string) (packets uint64) {
	t.Helper()
	err := n.Namespace.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		table := &nftables.Table{Name: "conpaas", Family: nftables.TableFamilyBridge}
		rules, err := c.GetRules(table, &nftables.Chain{Name: chain, Table: table})
		if err != nil {
			return err
		}
		for _, r := range rules {
			for _, e := range r.Exprs {
				if counter, ok := e.(*expr.Counter); ok {
					packets += counter.Packets
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// udp opens a UDP socket of a machine.
func (m *machine) udp(t *testing.T, port uint16) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	err := m.Do(func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: m.port.Address.AsSlice(), Port: int(port)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// raw sends a frame as it is from a machine.
func (m *machine) raw(t *testing.T, frame []byte) {
	t.Helper()
	err := m.Do(func() error {
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: eth.Attrs().Index})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// frame makes an Ethernet frame.
func frame(from, to net.HardwareAddr, ethertype uint16, payload []byte) []byte {
	f := append(bytes.Clone(to), from...)
	return append(append(f, byte(ethertype>>8), byte(ethertype)), payload...)
}

// arp makes the claim that an address belongs to a hardware address.
func arp(mac net.HardwareAddr, ip netip.Addr) []byte {
	claim := append([]byte{0, 1, 8, 0, 6, 4, 0, 2}, mac...)
	claim = append(append(claim, ip.AsSlice()...), mac...)
	return append(claim, ip.AsSlice()...)
}

// ipv4 makes a UDP packet without checksums to the first underlay port.
func ipv4(from, to netip.Addr) []byte {
	p := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}, from.AsSlice()...)
	p = append(p, to.AsSlice()...)
	return append(p, 0xca, 0x6c, 0xca, 0x6c, 0, 8, 0, 0) // ports 51820
}

// TestUnderlay: datagrams of the overlay pass in both directions, on both ports, and nothing of it is counted as dropped.
func TestUnderlay(t *testing.T) {
	n, m := cloud(t, 2)
	for _, port := range []uint16{51820, 51821} {
		a, b := m[0].udp(t, port), m[1].udp(t, port)
		for _, way := range [][2]*net.UDPConn{{a, b}, {b, a}} {
			if _, err := way[0].WriteTo([]byte("sealed"), way[1].LocalAddr()); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 16)
			got, from, err := way[1].ReadFrom(buffer)
			if err != nil || string(buffer[:got]) != "sealed" || from.String() != way[0].LocalAddr().String() {
				t.Errorf("got %q from %s, %v", buffer[:got], from, err)
			}
		}
	}
	for _, chain := range []string{"prerouting", "forward", "input"} {
		if d := dropped(t, n, chain); d != 0 {
			t.Errorf("%s dropped %d packets", chain, d)
		}
	}
}

// TestDropped sends what must not pass and looks for the counter of the chain that has to stop it.
func TestDropped(t *testing.T) {
	n, m := cloud(t, 3)
	a, b, third := m[0], m[1], m[2]
	macA, macB, macThird := bridge.MAC(a.port.Address), bridge.MAC(b.port.Address), bridge.MAC(third.port.Address)
	to := func(m *machine, port uint16) netip.AddrPort { return netip.AddrPortFrom(m.port.Address, port) }
	datagram := func(m *machine, port uint16) func(t *testing.T) {
		return func(t *testing.T) {
			if _, err := a.udp(t, 0).WriteToUDPAddrPort([]byte("x"), to(m, port)); err != nil {
				t.Fatal(err)
			}
		}
	}
	connect := func(to netip.AddrPort) func(t *testing.T) {
		return func(t *testing.T) {
			err := a.Do(func() error {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				t.Cleanup(func() { _ = unix.Close(fd) })
				return unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
			})
			if !errors.Is(err, unix.EINPROGRESS) {
				t.Fatal(err)
			}
		}
	}
	send := func(f []byte) func(t *testing.T) { return func(t *testing.T) { a.raw(t, f) } }
	director := n.Address.Addr()
	echo := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, unix.IPPROTO_ICMP, 0, 0}, append(a.port.Address.AsSlice(), b.port.Address.AsSlice()...)...)
	for _, c := range []struct {
		name, chain string
		act         func(t *testing.T)
	}{
		{"datagram to another port of a machine", "forward", datagram(b, 53)},
		{"datagram above the underlay ports", "forward", datagram(b, 51822)},
		{"datagram below the underlay ports", "forward", datagram(b, 51819)},
		{"connection to a machine", "forward", connect(to(b, 80))},
		{"connection to an underlay port of a machine", "forward", connect(to(b, 51820))},
		{"echo request to a machine", "forward", send(frame(macA, macB, unix.ETH_P_IP, append(echo, 8, 0, 0, 0, 0, 0, 0, 0)))},
		{"connection to another port of the director", "input", connect(netip.AddrPortFrom(director, 22))},
		{"datagram to the director", "input", func(t *testing.T) {
			if _, err := a.udp(t, 0).WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(director, 51820)); err != nil {
				t.Fatal(err)
			}
		}},
		{"through the bridge as a router", "input", send(frame(macA, bridge.MAC(director), unix.ETH_P_IP, ipv4(a.port.Address, b.port.Address)))},
		{"address of another machine", "prerouting", send(frame(macA, macB, unix.ETH_P_IP, ipv4(third.port.Address, b.port.Address)))},
		{"address of nobody", "prerouting", send(frame(macA, macB, unix.ETH_P_IP, ipv4(netip.MustParseAddr("10.210.9.9"), b.port.Address)))},
		{"hardware address of another machine", "prerouting", send(frame(macThird, macB, unix.ETH_P_IP, ipv4(a.port.Address, b.port.Address)))},
		{"both addresses of another machine", "prerouting", send(frame(macThird, macB, unix.ETH_P_IP, ipv4(third.port.Address, b.port.Address)))},
		{"claim on the director's address", "prerouting", send(frame(macA, macB, unix.ETH_P_ARP, arp(macA, director)))},
		{"claim for another hardware address", "prerouting", send(frame(macA, macB, unix.ETH_P_ARP, arp(macThird, a.port.Address)))},
		{"claim in the name of another machine", "prerouting", send(frame(macThird, macB, unix.ETH_P_ARP, arp(macThird, third.port.Address)))},
		{"IPv6", "prerouting", send(frame(macA, macB, unix.ETH_P_IPV6, make([]byte, 48)))},
		{"tagged with the address of another machine", "prerouting", send(frame(macA, macB, unix.ETH_P_8021Q, append([]byte{0, 5, 8, 0}, ipv4(third.port.Address, b.port.Address)...)))},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := dropped(t, n, c.chain)
			c.act(t)
			for dropped(t, n, c.chain) == before { // until the test's own deadline
				runtime.Gosched()
			}
		})
	}
}

// TestPathMTU: the error that path MTU discovery needs gets from machine to machine.
func TestPathMTU(t *testing.T) {
	n, m := cloud(t, 2)
	socket := m[1].udp(t, 51820)
	to := netip.AddrPortFrom(m[0].port.Address, 51820) // where nobody listens, so the machine answers "unreachable"
	if err := socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var connected *net.UDPConn
	err := m[1].Do(func() (err error) {
		connected, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()
	if _, err := connected.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := connected.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("read: %v, want %v (forward dropped %d)", err, unix.ECONNREFUSED, dropped(t, n, "forward"))
	}
}

// TestDirector: machines reach the director's port, and the director reaches any port of a machine.
func TestDirector(t *testing.T) {
	n, m := cloud(t, 1)
	for _, c := range []struct {
		name     string
		from, at *netns.Namespace
		address  netip.AddrPort
	}{
		{"machine to director", m[0].Namespace, n.Namespace, netip.AddrPortFrom(n.Address.Addr(), n.Director)},
		{"director to machine", n.Namespace, m[0].Namespace, netip.AddrPortFrom(m[0].port.Address, 80)},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := c.at.Listen(t.Context(), c.address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			from, err := c.from.Dial(t.Context(), c.address)
			if err != nil {
				t.Fatal(err)
			}
			defer from.Close()
			to, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer to.Close()
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				if _, err := way[0].Write([]byte("word")); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 4)
				if _, err := io.ReadFull(way[1], got); err != nil || string(got) != "word" {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
}

// TestRelayPort: machines reach the UDP port of the director's number, and get answers.
func TestRelayPort(t *testing.T) {
	n, m := cloud(t, 1)
	var relay *net.UDPConn
	err := n.Namespace.Do(func() (err error) {
		relay, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.Address.Addr(), n.Director)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	machine := m[0].udp(t, 51820)
	if _, err := machine.WriteTo([]byte("there"), relay.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8)
	k, from, err := relay.ReadFromUDPAddrPort(got)
	if err != nil || string(got[:k]) != "there" {
		t.Fatalf("the relay gets %q, %v", got[:k], err)
	}
	if _, err := relay.WriteToUDPAddrPort([]byte("back"), from); err != nil {
		t.Fatal(err)
	}
	if k, _, err := machine.ReadFrom(got); err != nil || string(got[:k]) != "back" {
		t.Fatalf("the machine gets %q, %v", got[:k], err)
	}
}

// TestAgain repeats every step, as a restarted director does, and takes a machine away and back.
func TestAgain(t *testing.T) {
	n, m := cloud(t, 2)
	talk := func() {
		t.Helper()
		a, b := m[0].udp(t, 51820), m[1].udp(t, 51820)
		defer a.Close()
		defer b.Close()
		if _, err := a.WriteTo([]byte("x"), b.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.ReadFrom(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	talk()
	if err := errors.Join(n.Up([]bridge.Port{m[0].port, m[1].port}), n.Connect(m[0].Namespace, m[0].port)); err != nil {
		t.Fatal(err)
	}
	talk()
	for range 2 {
		if err := n.Disconnect(m[0].port); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Connect(m[0].Namespace, m[0].port); err != nil {
		t.Fatal(err)
	}
	talk()
	if err := n.Disconnect(m[1].port); err != nil {
		t.Fatal(err)
	}
	m[1].port.Name = "again"
	if err := n.Connect(m[1].Namespace, m[1].port); err != nil {
		t.Fatal(err)
	}
	talk()
}
