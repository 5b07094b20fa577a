package relay

import (
	"bytes"
	"net"
	"testing"

	"golang.org/x/net/ipv4"
	"pgregory.net/rapid"
)

func TestBatchesKeepOrderAndLimits(t *testing.T) {
	to := []*net.UDPAddr{{Port: 1}, {Port: 2}}
	rapid.Check(t, func(t *rapid.T) {
		b := &batch{segment: rapid.Bool().Draw(t, "segment")}
		b.add(to[0], []byte{1})
		b.clear()
		type datagram struct {
			to   *net.UDPAddr
			data []byte
		}
		var want, got []datagram
		for i := range rapid.IntRange(0, 200).Draw(t, "count") {
			d := datagram{
				to:   to[rapid.SampledFrom([]int{0, 0, 0, 0, 1}).Draw(t, "to")],
				data: bytes.Repeat([]byte{byte(i)}, rapid.SampledFrom([]int{1452, 1452, 1452, 32, 9000}).Draw(t, "size")),
			}
			want = append(want, d)
			b.add(d.to, d.data)
		}
		for _, m := range b.messages {
			total := 0
			for i, data := range m.Buffers {
				got = append(got, datagram{m.Addr.(*net.UDPAddr), data})
				total += len(data)
				if last := i == len(m.Buffers)-1; len(data) > len(m.Buffers[0]) || (!last && len(data) != len(m.Buffers[0])) {
					t.Fatalf("segment %d of %d has %d bytes, the first has %d", i, len(m.Buffers), len(data), len(m.Buffers[0]))
				}
			}
			if total > maxPayload || len(m.Buffers) > maxSegments || (len(m.Buffers) > 1) != (m.OOB != nil) {
				t.Fatalf("a message of %d segments, %d bytes, control message %v", len(m.Buffers), total, m.OOB)
			}
			if !b.segment && len(m.Buffers) > 1 {
				t.Fatal("datagrams are joined though the kernel cannot take them apart")
			}
		}
		equal := func(a, b []datagram) bool {
			if len(a) != len(b) {
				return false
			}
			for i := range a {
				if a[i].to != b[i].to || !bytes.Equal(a[i].data, b[i].data) {
					return false
				}
			}
			return true
		}
		if !equal(got, want) {
			t.Fatal("the datagrams changed or changed their order")
		}
		got = nil
		for _, m := range apart(b.messages) {
			got = append(got, datagram{m.Addr.(*net.UDPAddr), m.Buffers[0]})
		}
		if !equal(got, want) {
			t.Fatal("taken apart again they are others")
		}
	})
}

func TestADatagramThatCannotBeSentDoesNotStopTheOthers(t *testing.T) {
	receiver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	sender, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	good := receiver.LocalAddr().(*net.UDPAddr)
	refused := &net.UDPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 9} // no way there from a loopback address
	b := &batch{segment: true}
	b.add(refused, []byte("no"))
	for range 3 {
		b.add(good, []byte("datagram"))
	}
	b.add(refused, []byte("no"))
	b.add(good, []byte("last"))
	if err := b.send(ipv4.NewPacketConn(sender)); err == nil {
		t.Error("the refused datagram is no error")
	}
	buf := make([]byte, 64)
	for _, want := range []string{"datagram", "datagram", "datagram", "last"} {
		n, _, err := receiver.ReadFromUDP(buf)
		if err != nil || string(buf[:n]) != want {
			t.Errorf("received %q, %v, want %q", buf[:n], err, want)
		}
	}
}
