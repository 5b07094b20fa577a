package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// EndConnections ends every TCP connection of the machine with another one, whichever program has it: reading and writing
// it fail at once, as if the other side had reset it. It gives how many there were. The kernel needs CONFIG_INET_DIAG_DESTROY
// (those of the distributions have it), else the error is errors.ErrUnsupported.
//
// It acts on the network namespace of the calling thread.
func EndConnections(with netip.Addr) (int, error) {
	if !with.Is4() {
		return 0, fmt.Errorf("end the connections with %s: it is no IPv4 address", with)
	}
	sockets, err := netlink.SocketDiagTCP(unix.AF_INET)
	if err != nil {
		return 0, fmt.Errorf("list the connections of this machine: %w", err)
	}
	ended := 0
	var errs []error
	for _, s := range sockets {
		if to, ok := netip.AddrFromSlice(s.ID.Destination.To4()); !ok || to != with || s.State == netlink.TCP_TIME_WAIT {
			continue
		}
		err := netlink.SocketDestroy(
			&net.TCPAddr{IP: s.ID.Source, Port: int(s.ID.SourcePort)}, &net.TCPAddr{IP: s.ID.Destination, Port: int(s.ID.DestinationPort)},
		)
		switch {
		case err == nil:
			ended++
		case errors.Is(err, unix.ENOENT): // it has ended meanwhile
		case errors.Is(err, unix.EOPNOTSUPP):
			return ended, fmt.Errorf("end the connections with %s: %w by this kernel", with, errors.ErrUnsupported)
		default:
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return ended, fmt.Errorf("end the connections with %s: %w", with, err)
	}
	return ended, nil
}
