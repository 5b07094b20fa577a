//go:build linux

package wgtest

import (
	"bytes"
	"encoding/binary"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Capture collects the Ethernet frames that come and go on an interface.
type Capture struct {
	file   *os.File
	frames chan []byte
}

// captureLength bounds the frames that a Capture keeps.
const captureLength = 1 << 16

// NewCapture starts to collect on an interface of the namespace, at most 65536 frames.
func (s *Space) NewCapture(t testing.TB, iface string) *Capture {
	t.Helper()
	var fd int
	err := s.Do(func() (err error) {
		link, err := net.InterfaceByName(iface)
		if err != nil {
			return err
		}
		const all = unix.ETH_P_ALL
		order := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, all))
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(order)); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: order, Ifindex: link.Index})
	})
	if err != nil {
		t.Fatalf("capture on %s: %v", iface, err)
	}
	c := &Capture{file: os.NewFile(uintptr(fd), "capture"), frames: make(chan []byte, captureLength)}
	go c.read()
	t.Cleanup(func() { c.file.Close() })
	return c
}

func (c *Capture) read() {
	defer close(c.frames)
	buf := make([]byte, captureLength)
	for {
		n, err := c.file.Read(buf)
		if err != nil {
			break
		}
		c.keep(buf[:n])
	}
	// What came before Stop is still there to be read.
	raw, err := c.file.SyscallConn()
	if err != nil {
		return
	}
	// Closed without Stop: nobody wants the rest.
	_ = raw.Control(func(fd uintptr) {
		for {
			n, err := unix.Read(int(fd), buf)
			if err != nil {
				return
			}
			c.keep(buf[:n])
		}
	})
}

func (c *Capture) keep(frame []byte) {
	select {
	case c.frames <- bytes.Clone(frame):
	default:
	}
}

// Stop ends the capture and gives the frames that have come so far, oldest first.
func (c *Capture) Stop() [][]byte {
	// A deadline that has passed ends the read that waits.
	_ = c.file.SetReadDeadline(time.Unix(1, 0))
	var all [][]byte
	for f := range c.frames {
		all = append(all, f)
	}
	c.file.Close()
	return all
}

// UDP takes an IPv4 UDP datagram out of a frame; ok is false for everything else.
func UDP(frame []byte) (source, destination uint16, payload []byte, ok bool) {
	if len(frame) < 14+20+8 || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP {
		return 0, 0, nil, false
	}
	ip := frame[14:]
	header := int(ip[0]&0x0f) * 4
	if ip[0]>>4 != 4 || ip[9] != unix.IPPROTO_UDP || len(ip) < header+8 {
		return 0, 0, nil, false
	}
	udp := ip[header:]
	return binary.BigEndian.Uint16(udp), binary.BigEndian.Uint16(udp[2:]), udp[8:], true
}
