package bridge

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Tap makes the port of a virtual machine: what is written to the file are frames (with a virtio header) from the
// machine. The port lasts as long as the file is open anywhere.
func (n *Network) Tap(p Port) (*os.File, error) {
	var file *os.File
	err := n.Namespace.Do(func() (err error) {
		if err := deleteLink(p.Name); err != nil {
			return err
		}
		if file, err = openTap(p.Name); err != nil {
			return err
		}
		br, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find the bridge: %w", err)
		}
		link, err := netlink.LinkByName(p.Name)
		if err != nil {
			return fmt.Errorf("find the port: %w", err)
		}
		if err := netlink.LinkSetMaster(link, br); errors.Is(err, unix.EXFULL) {
			return ErrFull
		} else if err != nil {
			return fmt.Errorf("join the bridge: %w", err)
		}
		return errors.Join(n.admit(p), netlink.LinkSetUp(link))
	})
	if err != nil {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
		return nil, fmt.Errorf("make the port of %s: %w", p.Address, err)
	}
	return file, nil
}

// Tapped is an error unless the port of a virtual machine that runs is there.
func (n *Network) Tapped(p Port) error {
	is, err := n.connected(p)
	if err == nil && !is {
		err = fmt.Errorf("the port %s of %s is gone; terminate the machine", p.Name, p.Address)
	}
	return err
}

// openTap makes a TAP device of the thread's network namespace.
func openTap(name string) (*os.File, error) {
	const device = "/dev/net/tun"
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w; load it by modprobe tun", device, err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the TAP device %s: %w", name, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), device), nil
}
