//go:build linux

package relay

import (
	"encoding/binary"
	"errors"
	"net"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// The limits of what the kernel cuts apart for us (UDP_SEGMENT, udp(7)).
const (
	maxSegments = 64
	maxPayload  = 65_000
)

// batch collects datagrams to send in one system call. A row of datagrams of the same size to the same
// address, as bulk traffic is, becomes one message that the kernel cuts apart; that more than doubles the throughput.
type batch struct {
	segment  bool // the kernel can cut messages apart
	messages []ipv4.Message
	sizes    []int // of the segments of each message
	closed   []bool
	totals   []int
}

// add puts a datagram behind those that are there.
func (b *batch) add(to *net.UDPAddr, data []byte) {
	if last := len(b.messages) - 1; b.segment && last >= 0 && !b.closed[last] {
		m := &b.messages[last]
		if m.Addr.(*net.UDPAddr) == to && len(data) <= b.sizes[last] && len(m.Buffers) < maxSegments && b.totals[last]+len(data) <= maxPayload {
			if len(m.Buffers) == 1 {
				m.OOB = segmentSize(uint16(b.sizes[last]))
			}
			m.Buffers = append(m.Buffers, data)
			b.totals[last] += len(data)
			b.closed[last] = len(data) < b.sizes[last] // only the last segment may be shorter
			return
		}
	}
	b.messages = append(b.messages, ipv4.Message{Buffers: [][]byte{data}, Addr: to})
	b.sizes, b.totals, b.closed = append(b.sizes, len(data)), append(b.totals, len(data)), append(b.closed, false)
}

func (b *batch) clear() {
	b.messages, b.sizes, b.totals, b.closed = b.messages[:0], b.sizes[:0], b.totals[:0], b.closed[:0]
}

// send sends everything. The error is a datagram's that could not be sent; the others were.
func (b *batch) send(socket *ipv4.PacketConn) (failed error) {
	for rest := b.messages; len(rest) > 0; {
		sent, err := socket.WriteBatch(rest, 0)
		if err == nil {
			rest = rest[sent:]
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		rest = rest[max(sent, 0):]
		if b.segment && len(rest[0].Buffers) > 1 && (errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL)) {
			// This path's device cannot do it: from now on everything goes one by one.
			b.segment = false
			rest = apart(rest)
			continue
		}
		failed = err
		rest = rest[1:]
	}
	return failed
}

// apart undoes the joining of datagrams.
func apart(messages []ipv4.Message) []ipv4.Message {
	var out []ipv4.Message
	for _, m := range messages {
		for _, data := range m.Buffers {
			out = append(out, ipv4.Message{Buffers: [][]byte{data}, Addr: m.Addr})
		}
	}
	return out
}

// segmentSize is the control message that tells the kernel where to cut.
func segmentSize(size uint16) []byte {
	b := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], size)
	return b
}
