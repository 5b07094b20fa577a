// Package bridge is the network of a local cloud: a bridge in a network namespace of its own, a port per machine, and
// the firewall that keeps machines apart from each other and lets them reach the director.
//
// It knows nothing of clouds, containers or tokens, and it never touches the network of the host.
package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/netns"
)

// name is the bridge's interface; it is alone in its namespace.
const name = "br0"

// inside is the interface of a machine in the machine's own namespace.
const inside = "eth0"

// ErrFull says that the bridge has no port left (the kernel allows 1023).
var ErrFull = errors.New("the bridge has no port left")

// Network is one bridge.
type Network struct {
	Namespace *netns.Namespace
	Address   netip.Prefix // the bridge's own address, with the length of the network's prefix
	Director  uint16       // TCP and UDP port of the bridge's address that machines may reach
	Underlay  [2]uint16    // first and last UDP port on which machines may reach each other
}

// Port is the place of one machine.
type Port struct {
	Name    string     // of the interface at the bridge, at most 15 bytes
	Address netip.Addr // the machine's
}

// MAC gives the hardware address that belongs to an IPv4 address: locally administered, unique in a network.
func MAC(a netip.Addr) net.HardwareAddr {
	ip := a.As4()
	return net.HardwareAddr{0x02, 0xc5, ip[0], ip[1], ip[2], ip[3]}
}

// Up makes the bridge, or completes and keeps the one that is there, and replaces the firewall by one that knows the
// given ports.
func (n *Network) Up(ports []Port) error {
	return n.Namespace.Do(func() error {
		if err := plain(); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return fmt.Errorf("find the loopback interface: %w", err)
		}
		br, err := n.bridge()
		if err != nil {
			return err
		}
		address := &netlink.Addr{IPNet: ipNet(n.Address)}
		if err := errors.Join(netlink.AddrReplace(br, address), netlink.LinkSetUp(lo), netlink.LinkSetUp(br)); err != nil {
			return fmt.Errorf("bring the bridge up: %w", err)
		}
		return n.firewall(ports)
	})
}

// plain makes the namespace a mere place of the bridge: what it holds is copied from the host, where forwarding may be
// on, and where frames may be taken through the IPv4 firewall as well.
func plain() error {
	err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0)
	if err != nil {
		return fmt.Errorf("forbid the cloud's namespace to route: %w", err)
	}
	err = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("0"), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("keep the bridge out of the IPv4 firewall: %w", err)
	}
	// Machines talk IPv4 to each other; IPv6 would only chat with neighbours that it may not reach.
	err = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("keep IPv6 off the bridge: %w", err)
	}
	return nil
}

// bridge finds or makes the bridge. Its hardware address is set, because it would otherwise change with its ports.
func (n *Network) bridge() (netlink.Link, error) {
	br, err := netlink.LinkByName(name)
	if _, absent := errors.AsType[netlink.LinkNotFoundError](err); absent {
		snooping := false
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr = name, MAC(n.Address.Addr())
		br = &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
		err = netlink.LinkAdd(br)
	}
	if err != nil {
		return nil, fmt.Errorf("make the bridge: %w", err)
	}
	return br, nil
}

// Connect gives the machine whose namespace is given its port and its interface. A connection that is complete
// stays as it is; any other is made anew.
func (n *Network) Connect(machine *netns.Namespace, p Port) error {
	connected, err := n.connected(p)
	if err == nil && !connected {
		// The machine's end of a pair may still be there when the other end was lost with another namespace.
		err = machine.Do(func() error { return deleteLink(inside) })
	}
	if err != nil {
		return fmt.Errorf("connect %s: %w", p.Address, err)
	}
	err = n.Namespace.Do(func() error {
		if connected {
			return n.admit(p)
		}
		br, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find the bridge: %w", err)
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = p.Name, br.Attrs().Index
		pair := &netlink.Veth{LinkAttrs: attrs, PeerName: inside, PeerHardwareAddr: MAC(p.Address), PeerNamespace: netlink.NsFd(machine.FD())}
		if err := netlink.LinkAdd(pair); errors.Is(err, unix.EXFULL) {
			return ErrFull
		} else if err != nil {
			return fmt.Errorf("make the port %s: %w", p.Name, err)
		}
		return errors.Join(n.admit(p), netlink.LinkSetUp(pair))
	})
	if err != nil {
		return fmt.Errorf("connect %s: %w", p.Address, err)
	}
	return machine.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return fmt.Errorf("find the machine's loopback interface: %w", err)
		}
		eth, err := netlink.LinkByName(inside)
		if err != nil {
			return fmt.Errorf("find the machine's interface: %w", err)
		}
		address := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(p.Address, n.Address.Bits()))}
		if err := errors.Join(netlink.LinkSetUp(lo), netlink.AddrReplace(eth, address), netlink.LinkSetUp(eth)); err != nil {
			return fmt.Errorf("bring the interface of %s up: %w", p.Address, err)
		}
		return nil
	})
}

// connected tells whether a port is at the bridge. A pair exists only while both of its ends do.
func (n *Network) connected(p Port) (is bool, err error) {
	err = n.Namespace.Do(func() error {
		br, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find the bridge: %w", err)
		}
		link, err := netlink.LinkByName(p.Name)
		is = err == nil && link.Attrs().MasterIndex == br.Attrs().Index
		return nil
	})
	return is, err
}

// deleteLink deletes an interface of the thread's namespace; one that is not there is deleted already.
func deleteLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	_, absent := errors.AsType[netlink.LinkNotFoundError](err)
	if err != nil && !absent && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete the interface %s: %w", name, err)
	}
	return nil
}

// Disconnect takes a port away; one that does not exist is gone already.
func (n *Network) Disconnect(p Port) error {
	return n.Namespace.Do(func() error {
		if err := deleteLink(p.Name); err != nil {
			return err
		}
		return n.dismiss(p)
	})
}

// ipNet is a prefix with its host bits in the form that netlink takes.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: bytes.Clone(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
