//go:build linux

package wgtest

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
)

// Outside is the name of a namespace's interface on a bridge.
const Outside = "eth0"

// Bridge is an Ethernet in a namespace of its own that joins others.
type Bridge struct {
	space *Space
	link  netlink.Link
	ports int
}

// NewBridge makes a bridge without ports.
func NewBridge(t testing.TB) *Bridge {
	t.Helper()
	s := NewSpace(t)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br0"
	// A bridge without an address of its own takes that of a port, and changes when the port goes.
	attrs.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	link := &netlink.Bridge{LinkAttrs: attrs}
	if err := s.handle.LinkAdd(link); err != nil {
		t.Fatalf("make a bridge: %v", err)
	}
	if err := s.handle.LinkSetUp(link); err != nil {
		t.Fatalf("bring a bridge up: %v", err)
	}
	return &Bridge{space: s, link: link}
}

// Join makes a namespace with an interface Outside on the bridge.
func (b *Bridge) Join(t testing.TB, at netip.Prefix) *Space {
	t.Helper()
	s := NewSpace(t)
	b.Connect(t, s, Outside, at)
	return s
}

// Connect gives a namespace an interface on the bridge.
func (b *Bridge) Connect(t testing.TB, s *Space, name string, at netip.Prefix) {
	t.Helper()
	b.ports++
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("p%d", b.ports)
	attrs.MasterIndex = b.link.Attrs().Index
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerNamespace: netlink.NsFd(int(s.file.Fd()))}
	if err := b.space.handle.LinkAdd(pair); err != nil {
		t.Fatalf("make a veth pair: %v", err)
	}
	if err := b.space.handle.LinkSetUp(pair); err != nil {
		t.Fatalf("bring a bridge port up: %v", err)
	}
	link, err := s.handle.LinkByName(name)
	if err == nil {
		err = s.handle.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: at.Addr().AsSlice(), Mask: net.CIDRMask(at.Bits(), 32)}})
	}
	if err == nil {
		err = s.handle.LinkSetUp(link)
	}
	if err != nil {
		t.Fatalf("bring %s up with %s: %v", name, at, err)
	}
}

// DropFrom makes the namespace's firewall drop all that comes from an address; Open undoes it.
func (s *Space) DropFrom(t testing.TB, from netip.Addr) {
	t.Helper()
	c := s.firewall(t)
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "wgtest"})
	chain := c.AddChain(&nftables.Chain{
		Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: from.AsSlice()},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := c.Flush(); err != nil {
		t.Fatalf("drop what comes from %s: %v", from, err)
	}
}

// Open takes back every DropFrom.
func (s *Space) Open(t testing.TB) {
	t.Helper()
	c := s.firewall(t)
	c.DelTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "wgtest"})
	if err := c.Flush(); err != nil {
		t.Fatalf("open the firewall: %v", err)
	}
}

func (s *Space) firewall(t testing.TB) *nftables.Conn {
	t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(int(s.file.Fd())))
	if err != nil {
		t.Fatalf("firewall of a namespace: %v", err)
	}
	return c
}

// AddAddress gives an interface of the namespace one more address.
func (s *Space) AddAddress(t testing.TB, iface string, at netip.Prefix) {
	t.Helper()
	link, err := s.handle.LinkByName(iface)
	if err == nil {
		err = s.handle.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: at.Addr().AsSlice(), Mask: net.CIDRMask(at.Bits(), 32)}})
	}
	if err != nil {
		t.Fatalf("give %s the address %s: %v", iface, at, err)
	}
}

// BringUp gives an interface of the namespace its address and MTU (bytes), and brings it up.
func (s *Space) BringUp(t testing.TB, iface string, at netip.Prefix, mtu int) {
	t.Helper()
	s.AddAddress(t, iface, at)
	link, err := s.handle.LinkByName(iface)
	if err == nil {
		err = s.handle.LinkSetMTU(link, mtu)
	}
	if err == nil {
		err = s.handle.LinkSetUp(link)
	}
	if err != nil {
		t.Fatalf("bring %s up: %v", iface, err)
	}
}

// DefaultRoute sends all that has no other way to a neighbour.
func (s *Space) DefaultRoute(t testing.TB, via netip.Addr) {
	t.Helper()
	if err := s.handle.RouteAdd(&netlink.Route{Gw: via.AsSlice()}); err != nil {
		t.Fatalf("default route by %s: %v", via, err)
	}
}

// NAT joins a network behind a router that hides its addresses: what goes out has the router's outside
// address, what comes in without having been asked for is dropped.
func NAT(t testing.TB, inside *Bridge, insideAt netip.Prefix, outside *Bridge, outsideAt netip.Prefix) {
	t.Helper()
	s := NewSpace(t)
	inside.Connect(t, s, "inside", insideAt)
	outside.Connect(t, s, Outside, outsideAt)
	if err := s.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }); err != nil {
		t.Fatalf("let a namespace forward: %v", err)
	}
	c := s.firewall(t)
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "wgtest"})
	chain := c.AddChain(&nftables.Chain{
		Name: "hide", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	name := make([]byte, 16)
	copy(name, Outside)
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name},
		&expr.Masq{Random: true},
	}})
	if err := c.Flush(); err != nil {
		t.Fatalf("hide addresses behind %s: %v", outsideAt, err)
	}
}
