package bridge

import (
	"fmt"
	"net/netip"

	"conpaas/director/cloud/local/netns"
)

// Try makes a bridge with its firewall in a namespace that is gone afterwards, and tells what the kernel lacks for it.
func Try() error {
	space, err := netns.Temporary()
	if err != nil {
		return fmt.Errorf("%w; the kernel needs network namespaces (CONFIG_NET_NS)", err)
	}
	defer space.Close()
	n := Network{Namespace: space, Address: netip.MustParsePrefix("10.0.0.1/24"), Director: 1, Underlay: [2]uint16{1, 2}}
	machine, err := netns.Temporary()
	if err != nil {
		return err
	}
	defer machine.Close()
	p := Port{Name: "m0", Address: netip.MustParseAddr("10.0.0.2")}
	if err := n.Up(nil); err != nil {
		return fmt.Errorf("%w; load what is missing by modprobe bridge nf_tables", err)
	}
	if err := n.Connect(machine, p); err != nil {
		return fmt.Errorf("%w; load what is missing by modprobe veth", err)
	}
	return nil
}
