package conf

import (
	"fmt"
	"net/netip"

	"conpaas/agent/service"
)

// CheckListen refuses every address to listen on but the node's own.
func CheckListen(a netip.AddrPort, n service.Node) error {
	if err := CheckAddress(a); err != nil {
		return err
	}
	if a.Addr() != n.Address && !n.Active {
		return fmt.Errorf("it says to listen on %s, and this machine has no network with the others (runtime process is for tests and benchmarks); use runtime container or another cloud", a)
	}
	if a.Addr() != n.Address {
		return fmt.Errorf("it says to listen on %s, and this node's address is %s", a, n.Address)
	}
	return nil
}

// CheckAddress refuses what is no IPv4 address with a port; zones too, which may hold anything.
func CheckAddress(a netip.AddrPort) error {
	if !a.Addr().Is4() || a.Addr().IsUnspecified() || a.Port() == 0 {
		return fmt.Errorf("%.80q is no IPv4 address with a port", a.String())
	}
	return nil
}
