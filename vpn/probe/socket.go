//go:build linux

package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// listen opens the raw socket. Its filter lets only our messages to our port through and the first ones of WireGuard's
// handshakes, which are few, so sealed datagrams are never copied to it.
func listen(port uint16, mark int) (*net.IPConn, error) {
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadMemShift{Off: 0},          // X = length of the IP header
		bpf.LoadIndirect{Off: 2, Size: 2}, // destination port
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(port), SkipTrue: 4},
		bpf.LoadIndirect{Off: 8, Size: 4}, // first bytes of the payload
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32([]byte(magic)), SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32([]byte(initiation)), SkipTrue: 1},
		bpf.RetConstant{Val: 0xffff},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, err
	}
	program := make([]unix.SockFilter, len(filter))
	for i, f := range filter {
		program[i] = unix.SockFilter{Code: f.Op, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error {
			return errors.Join(
				unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}),
				setMark(fd, mark))
		})
	}}
	conn, err := config.ListenPacket(context.Background(), "ip4:udp", "0.0.0.0")
	if err != nil {
		return nil, err
	}
	return conn.(*net.IPConn), nil
}

func setMark(fd, mark int) error {
	if mark == 0 {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark)
}

// control runs f on the file descriptor of a socket.
func control(c syscall.RawConn, f func(fd int) error) error {
	var inner error
	err := c.Control(func(fd uintptr) { inner = f(int(fd)) })
	return errors.Join(err, inner)
}

// router tells which source address the kernel gives to datagrams for a destination.
type router struct {
	mark int

	mu     sync.Mutex
	handle *netlink.Handle // nil: closed
}

func newRouter(mark int) (*router, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	return &router{handle: handle, mark: mark}, nil
}

// source gives the address that a datagram to a destination would have.
func (r *router) source(to netip.Addr) (netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.handle == nil {
		return netip.Addr{}, net.ErrClosed
	}
	routes, err := r.handle.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{Mark: uint32(r.mark)})
	if err != nil {
		return netip.Addr{}, err
	}
	for _, route := range routes {
		if source, ok := netip.AddrFromSlice(route.Src.To4()); ok {
			return source, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no route to %s", to)
}

func (r *router) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.handle != nil {
		r.handle.Close()
		r.handle = nil
	}
}
