//go:build linux

package wg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

const (
	// DefaultMark is the firewall mark of sealed datagrams, and the number of the routing table that all
	// other traffic looks at first.
	DefaultMark = 0x6370

	rulePriority        = 10700   // before the main table's 32766
	unreachablePriority = 1 << 20 // behind the device's own route
	setupPoll           = 20 * time.Millisecond
)

// DeviceConfig is a node's own end of the overlay.
type DeviceConfig struct {
	Interface  string       // 1 to 15 characters
	PrivateKey string       // base64
	Port       uint16       // UDP; 0 lets the system choose one
	Address    netip.Addr   // overlay address
	Network    netip.Prefix // the whole overlay, which Address is in
	MTU        int          // bytes; 0: DefaultMTU
	Mark       int          // firewall mark of sealed datagrams; 0: DefaultMark
}

// Setup brings a device, of either data plane, to what c says: key, port, mark, address, routes, up. It waits
// until the device is there or ctx ends. It changes only what is otherwise, so it can be repeated at any time
// without losing a datagram.
//
// The overlay's route is in a table of its own that everything but the marked (sealed) datagrams looks at
// first: an endpoint whose address lies in the overlay's range is still reached on the outside (with strict
// reverse path filtering, rp_filter=1, its answers are dropped by the kernel all the same: use 0 or 2). When
// the device goes away, what is meant for the overlay is refused and never leaves the machine unsealed.
func Setup(ctx context.Context, c DeviceConfig) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.MTU == 0 {
		c.MTU = DefaultMTU
	}
	if c.Mark == 0 {
		c.Mark = DefaultMark
	}
	control, err := newControl(c.Interface)
	if err != nil {
		return err
	}
	defer control.client.Close()
	link, dev, err := await(ctx, control)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"key, port and mark", func() error { return c.configure(ctx, control, dev) }},
		{"address", func() error { return c.address(link) }},
		{"MTU", func() error { return c.mtu(link) }},
		{"up", func() error { return netlink.LinkSetUp(link) }},
		{"routes", func() error { return c.route(link) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("set up overlay device %s: %s: %w", c.Interface, step.name, err)
		}
	}
	return nil
}

var interfaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$`)

// checkInterface keeps names that are also part of a socket's path to what cannot leave its folder.
func checkInterface(name string) error {
	if !interfaceName.MatchString(name) {
		return fmt.Errorf("overlay device %q: want 1 to 15 letters, digits, '-', '_' or '.', a letter or digit first", name)
	}
	return nil
}

func (c DeviceConfig) check() error {
	if err := checkInterface(c.Interface); err != nil {
		return err
	}
	switch {
	case !c.Network.IsValid() || !c.Network.Addr().Is4():
		return fmt.Errorf("set up overlay device %s: network %s is not an IPv4 prefix", c.Interface, c.Network)
	case !c.Network.Contains(c.Address):
		return fmt.Errorf("set up overlay device %s: address %s is not in network %s", c.Interface, c.Address, c.Network)
	case c.MTU < 0 || c.Mark < 0:
		return fmt.Errorf("set up overlay device %s: MTU %d and mark %d must not be negative", c.Interface, c.MTU, c.Mark)
	}
	_, err := Public(c.PrivateKey)
	return err
}

// await gives the device once its interface and its configuration socket are both there.
func await(ctx context.Context, control *control) (netlink.Link, *wgtypes.Device, error) {
	tick := time.NewTicker(setupPoll)
	defer tick.Stop()
	for {
		link, err := netlink.LinkByName(control.iface)
		if err == nil {
			var dev *wgtypes.Device
			if dev, err = control.read(ctx); err == nil {
				return link, dev, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("overlay device %s does not come up (does its process run?): %w", control.iface, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

// configure sets what differs. The port above all: setting it, even to the same, opens the socket anew.
func (c DeviceConfig) configure(ctx context.Context, control *control, dev *wgtypes.Device) error {
	key, err := wgtypes.ParseKey(c.PrivateKey)
	if err != nil {
		return err
	}
	port := int(c.Port)
	var want wgtypes.Config
	if dev.PrivateKey != key {
		want.PrivateKey = &key
	}
	if port != 0 && dev.ListenPort != port {
		want.ListenPort = &port
	}
	if dev.FirewallMark != c.Mark {
		want.FirewallMark = &c.Mark
	}
	if want.PrivateKey == nil && want.ListenPort == nil && want.FirewallMark == nil {
		return nil
	}
	return control.configure(ctx, want)
}

// address makes c.Address, as /32, the only one of the device.
func (c DeviceConfig) address(link netlink.Link) error {
	want := &net.IPNet{IP: c.Address.AsSlice(), Mask: net.CIDRMask(32, 32)}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	found := false
	for _, a := range addrs {
		if a.IPNet.String() == want.String() {
			found = true
		} else if err := netlink.AddrDel(link, &a); err != nil {
			return fmt.Errorf("remove %s: %w", a.IPNet, err)
		}
	}
	if found {
		return nil
	}
	return netlink.AddrAdd(link, &netlink.Addr{IPNet: want})
}

func (c DeviceConfig) mtu(link netlink.Link) error {
	if link.Attrs().MTU == c.MTU {
		return nil
	}
	return netlink.LinkSetMTU(link, c.MTU)
}

// route sends the overlay's network to the device, by a table that marked datagrams do not look at.
func (c DeviceConfig) route(link netlink.Link) error {
	network := &net.IPNet{IP: c.Network.Masked().Addr().AsSlice(), Mask: net.CIDRMask(c.Network.Bits(), 32)}
	refuse := &netlink.Route{Dst: network, Table: c.Mark, Type: unix.RTN_UNREACHABLE, Priority: unreachablePriority, Protocol: unix.RTPROT_STATIC}
	if err := netlink.RouteReplace(refuse); err != nil {
		return fmt.Errorf("refuse %s where there is no device: %w", network, err)
	}
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Table = netlink.FAMILY_V4, rulePriority, c.Mark
	rule.Mark, rule.Invert = uint32(c.Mark), true
	if err := netlink.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("rule for datagrams without mark %#x: %w", c.Mark, err)
	}
	via := &netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: network, Table: c.Mark, Scope: netlink.SCOPE_LINK,
		Src: c.Address.AsSlice(), Protocol: unix.RTPROT_STATIC,
	}
	if err := netlink.RouteReplace(via); err != nil {
		return fmt.Errorf("route %s to the device: %w", network, err)
	}
	return nil
}
