package vpn

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Plan is how the addresses of one application's network are dealt out. With prefix length m and s service
// bits each of the 2^s partitions has 2^k addresses, k = 32 - m - s: agent j of service i has the address
// base + i*2^k + j, 1 <= j <= 2^k - 1. Slot 0 of a partition is never an agent's; the manager has slot 0 of
// the last partition. The zero Plan is not valid; use NewPlan.
type Plan struct {
	prefix      netip.Prefix
	serviceBits int
	hostBits    int
}

// Partition is the part of the network that belongs to one service.
type Partition struct {
	Index  int          // from 0
	Prefix netip.Prefix // of all its addresses, slot 0 included
	First  netip.Addr   // of the first agent
	Last   netip.Addr   // of the last agent
}

// reserved has the ranges that no overlay can lie in, because every machine gives them another meaning.
func reserved() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),      // "this network", RFC 791
		netip.MustParsePrefix("127.0.0.0/8"),    // loopback, RFC 1122
		netip.MustParsePrefix("169.254.0.0/16"), // link-local and the clouds' metadata, RFC 3927
		netip.MustParsePrefix("224.0.0.0/3"),    // multicast and above, RFC 5771, RFC 1112
	}
}

// NewPlan makes the plan of a network, for example 172.16.0.0/12 with 5 service bits: 32 services of 32767
// agents. The error says what is wrong with the values and what would be right.
func NewPlan(base netip.Prefix, serviceBits int) (Plan, error) {
	switch {
	case !base.IsValid():
		return Plan{}, fmt.Errorf("overlay network: no valid prefix given, want one like 172.16.0.0/12")
	case !base.Addr().Is4():
		return Plan{}, fmt.Errorf("overlay network %s: only IPv4 networks can be planned", base)
	case base != base.Masked():
		return Plan{}, fmt.Errorf("overlay network %s: bits are set behind the prefix length, did you mean %s?", base, base.Masked())
	case serviceBits < 0:
		return Plan{}, fmt.Errorf("overlay network %s: %d service bits, want 0 or more", base, serviceBits)
	}
	hostBits := 32 - base.Bits() - serviceBits
	if hostBits < 1 {
		return Plan{}, fmt.Errorf("overlay network %s: %d service bits leave no room for agents, want %d or fewer", base, serviceBits, max(31-base.Bits(), 0))
	}
	for _, r := range reserved() {
		if base.Overlaps(r) {
			return Plan{}, fmt.Errorf("overlay network %s: it overlaps the reserved range %s, choose a private network", base, r)
		}
	}
	return Plan{prefix: base, serviceBits: serviceBits, hostBits: hostBits}, nil
}

// ParseMask reads a network mask, dotted ("255.240.0.0") or as a prefix length ("12"), and gives the prefix
// length, 0 to 32.
func ParseMask(netmask string) (bits int, err error) {
	text := strings.TrimSpace(netmask)
	if !strings.Contains(text, ".") {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil || n > 32 {
			return 0, fmt.Errorf("netmask %q: want a mask like 255.240.0.0 or a prefix length from 0 to 32", netmask)
		}
		return int(n), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is4() {
		return 0, fmt.Errorf("netmask %q: want a mask like 255.240.0.0 or a prefix length from 0 to 32", netmask)
	}
	mask := toUint(addr)
	for bits < 32 && mask&(1<<(31-bits)) != 0 {
		bits++
	}
	if mask != ^uint32(0)<<(32-bits) {
		return 0, fmt.Errorf("netmask %q: its one bits are not all in front of its zero bits", netmask)
	}
	return bits, nil
}

// Prefix is the whole network.
func (p Plan) Prefix() netip.Prefix { return p.prefix }

// ServiceBits is s, the number of bits that tell services apart.
func (p Plan) ServiceBits() int { return p.serviceBits }

// ServicesPerApplication is 2^s.
func (p Plan) ServicesPerApplication() int { return 1 << p.serviceBits }

// AgentsPerService is 2^k - 1.
func (p Plan) AgentsPerService() int { return 1<<p.hostBits - 1 }

// Manager is the manager's address: slot 0 of the last partition.
func (p Plan) Manager() netip.Addr { return p.at(p.ServicesPerApplication()-1, 0) }

// Partition gives the part of service i, 0 <= i < ServicesPerApplication.
func (p Plan) Partition(i int) (Partition, error) {
	if i < 0 || i >= p.ServicesPerApplication() {
		return Partition{}, fmt.Errorf("overlay network %s has partitions 0 to %d, not %d", p.prefix, p.ServicesPerApplication()-1, i)
	}
	return Partition{
		Index:  i,
		Prefix: netip.PrefixFrom(p.at(i, 0), 32-p.hostBits),
		First:  p.at(i, 1),
		Last:   p.at(i, p.AgentsPerService()),
	}, nil
}

// Address gives the address of an agent, counted from 1, of the service with partition index service,
// counted from 0.
func (p Plan) Address(service, agent int) (netip.Addr, error) {
	if _, err := p.Partition(service); err != nil {
		return netip.Addr{}, err
	}
	if agent < 1 || agent > p.AgentsPerService() {
		return netip.Addr{}, fmt.Errorf("overlay network %s has agents 1 to %d in a service, not %d", p.prefix, p.AgentsPerService(), agent)
	}
	return p.at(service, agent), nil
}

// Locate tells whose an address is: the partition index and the slot in it. ok is false for an address
// outside of the network. The manager is slot 0 of the last partition.
func (p Plan) Locate(a netip.Addr) (service, slot int, ok bool) {
	if !p.prefix.Contains(a) {
		return 0, 0, false
	}
	offset := toUint(a) - toUint(p.prefix.Addr())
	return int(offset >> p.hostBits), int(offset & (1<<p.hostBits - 1)), true
}

// Overlaps tells whether a network shares an address with the overlay, so that endpoints in it could not be
// told from overlay addresses.
func (p Plan) Overlaps(other netip.Prefix) bool { return p.prefix.Overlaps(other) }

// at computes an address; the caller has checked the range.
func (p Plan) at(service, slot int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], toUint(p.prefix.Addr())+uint32(service)<<p.hostBits+uint32(slot))
	return netip.AddrFrom4(b)
}

// toUint gives an IPv4 address as a number.
func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}
