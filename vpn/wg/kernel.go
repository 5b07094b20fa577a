//go:build linux

package wg

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The data planes, as Detect names them.
const (
	DataPlaneKernel    = "kernel"
	DataPlaneUserspace = "userspace"
)

// probeInterface is made and removed again by Detect.
const probeInterface = "cpswgprobe"

// Detect tells which data plane this machine has: DataPlaneKernel where the kernel makes WireGuard devices
// for us in this network namespace, else DataPlaneUserspace. It tries it, so that the module is loaded where
// that is possible.
func Detect() string {
	link := &netlink.Wireguard{LinkAttrs: netlink.LinkAttrs{Name: probeInterface}}
	if err := netlink.LinkAdd(link); err != nil && !errors.Is(err, unix.EEXIST) {
		return DataPlaneUserspace
	}
	// One that stays behind is empty, down, and removed by the next Detect.
	_ = netlink.LinkDel(link)
	return DataPlaneKernel
}

// CreateKernel makes a device of the kernel's data plane, mtu in bytes, 0 for DefaultMTU; one that exists is
// kept. Setup, Open and all else work on it as on a userspace device. It is not covered by the tests where
// the kernel has no WireGuard module; there it answers an error that says so.
func CreateKernel(iface string, mtu int) error {
	if err := checkInterface(iface); err != nil {
		return err
	}
	if mtu == 0 {
		mtu = DefaultMTU
	}
	existing, err := netlink.LinkByName(iface)
	if err == nil {
		if existing.Type() != "wireguard" {
			return fmt.Errorf("overlay device %s: an interface of that name and type %s is there, remove it", iface, existing.Type())
		}
		return nil
	}
	link := &netlink.Wireguard{LinkAttrs: netlink.LinkAttrs{Name: iface, MTU: mtu}}
	err = netlink.LinkAdd(link)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("overlay device %s: this kernel has no WireGuard, use the userspace data plane", iface)
	}
	if err != nil {
		return fmt.Errorf("make the overlay device %s in the kernel: %w", iface, err)
	}
	return nil
}
