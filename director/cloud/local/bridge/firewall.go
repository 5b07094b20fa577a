package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Registers that a key of the set of ports is put together in: 16, 8 and 4 bytes side by side.
const (
	keyPort = 8 // NFT_REG32_00
	keyMAC  = keyPort + 16/4
	keyIP   = keyMAC + 8/4
	scratch = keyIP + 1
)

// rules are the tables of one bridge. Only stateless matches are used: a kernel may lack connection tracking for
// bridges.
type rules struct {
	conn  *nftables.Conn
	table *nftables.Table
	ports *nftables.Set // interface . hardware address . IPv4 address of each machine
}

// open names the table and its set without touching the kernel. It is called on a thread of the namespace.
func open() (*rules, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("speak to nftables: %w", err)
	}
	table := &nftables.Table{Name: "conpaas", Family: nftables.TableFamilyBridge}
	key, err := nftables.ConcatSetType(nftables.TypeIFName, nftables.TypeEtherAddr, nftables.TypeIPAddr)
	if err != nil {
		return nil, fmt.Errorf("describe the set of ports: %w", err)
	}
	return &rules{conn: conn, table: table, ports: &nftables.Set{Table: table, ID: 1, Name: "ports", KeyType: key, Concatenation: true}}, nil
}

// firewall replaces all rules in one transaction, so that there is no moment without them.
func (n *Network) firewall(ports []Port) error {
	r, err := open()
	if err != nil {
		return err
	}
	r.conn.AddTable(r.table)
	r.conn.DelTable(r.table)
	r.conn.AddTable(r.table)
	elements := make([]nftables.SetElement, 0, len(ports))
	for _, p := range ports {
		elements = append(elements, nftables.SetElement{Key: key(p)})
	}
	if err := r.conn.AddSet(r.ports, elements); err != nil {
		return fmt.Errorf("write the set of ports: %w", err)
	}
	// Before the bridge learns an address from a frame, the frame must carry the sender's own addresses.
	pre := r.chain("prerouting", nftables.ChainHookPrerouting)
	r.add(pre, is(unix.ETH_P_ARP), r.sender(6, 14), r.sender8(), accept())
	r.add(pre, is(unix.ETH_P_IP), r.sender(6, 12), accept())
	r.add(pre, drop())
	// From machine to machine: WireGuard, and the errors that path MTU discovery lives on.
	forward := r.chain("forward", nftables.ChainHookForward)
	r.add(forward, is(unix.ETH_P_ARP), accept())
	r.add(forward, is(unix.ETH_P_IP), protocol(unix.IPPROTO_UDP), transport(2, 2), between(n.Underlay), accept())
	r.add(forward, is(unix.ETH_P_IP), protocol(unix.IPPROTO_ICMP), transport(0, 1), equal([]byte{3}), accept())
	r.add(forward, drop())
	// From machine to the director: new connections to its port, answers to the forwarder's connections, and datagrams to
	// the relay, which has the UDP port of the same number.
	input := r.chain("input", nftables.ChainHookInput)
	own := n.Address.Addr().As4()
	toUs := join(is(unix.ETH_P_IP), network(16, 4), equal(own[:]))
	r.add(input, is(unix.ETH_P_ARP), accept())
	r.add(input, toUs, protocol(unix.IPPROTO_TCP), transport(2, 2), between([2]uint16{n.Director, n.Director}), accept())
	r.add(input, toUs, protocol(unix.IPPROTO_TCP), transport(13, 1), noSYN(), accept())
	r.add(input, toUs, protocol(unix.IPPROTO_UDP), transport(2, 2), between([2]uint16{n.Director, n.Director}), accept())
	r.add(input, toUs, protocol(unix.IPPROTO_ICMP), accept())
	r.add(input, drop())
	if err := r.conn.Flush(); err != nil {
		return fmt.Errorf("write the firewall: %w", err)
	}
	return nil
}

// admit lets the traffic of a port in. It is called on a thread of the namespace.
func (n *Network) admit(p Port) error { return change(p, (*nftables.Conn).SetAddElements) }

// dismiss ends what admit began.
func (n *Network) dismiss(p Port) error { return change(p, (*nftables.Conn).SetDeleteElements) }

// change adds or deletes the element of a port; an element that is not there is deleted already.
func change(p Port, f func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error) error {
	r, err := open()
	if err != nil {
		return err
	}
	if err := f(r.conn, r.ports, []nftables.SetElement{{Key: key(p)}}); err != nil {
		return fmt.Errorf("change the firewall for %s: %w", p.Address, err)
	}
	if err := r.conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("change the firewall for %s: %w", p.Address, err)
	}
	return nil
}

// key is the element of a port: its name in 16 bytes, the hardware address in 8, the address in 4.
func key(p Port) []byte {
	k := make([]byte, 28)
	copy(k[:15], p.Name)
	copy(k[16:], MAC(p.Address))
	ip := p.Address.As4()
	copy(k[24:], ip[:])
	return k
}

func (r *rules) chain(name string, hook *nftables.ChainHook) *nftables.Chain {
	policy := nftables.ChainPolicyDrop
	return r.conn.AddChain(&nftables.Chain{
		Table: r.table, Name: name, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityFilter, Policy: &policy,
	})
}

func (r *rules) add(c *nftables.Chain, parts ...[]expr.Any) {
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: c, Exprs: join(parts...)})
}

// sender matches frames whose port, hardware address at offset mac of the frame and IPv4 address at offset ip of the
// packet belong together.
func (r *rules) sender(mac, ip uint32) []expr.Any {
	return r.lookup(expr.PayloadBaseLLHeader, mac, ip)
}

// sender8 matches ARP packets whose claim (hardware address at 8, IPv4 address at 14) is the sender's own.
func (r *rules) sender8() []expr.Any { return r.lookup(expr.PayloadBaseNetworkHeader, 8, 14) }

func (r *rules) lookup(macBase expr.PayloadBase, mac, ip uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: keyPort},
		&expr.Payload{DestRegister: keyMAC, Base: macBase, Offset: mac, Len: 6},
		&expr.Payload{DestRegister: keyIP, Base: expr.PayloadBaseNetworkHeader, Offset: ip, Len: 4},
		&expr.Lookup{SourceRegister: keyPort, SetName: r.ports.Name, SetID: r.ports.ID},
	}
}

func join(parts ...[]expr.Any) []expr.Any {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// is matches the protocol of the frame.
func is(ethertype uint16) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: scratch},
		&expr.Cmp{Op: expr.CmpOpEq, Register: scratch, Data: binary.BigEndian.AppendUint16(nil, ethertype)},
	}
}

// protocol matches the protocol of an IPv4 packet.
func protocol(p byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: scratch},
		&expr.Cmp{Op: expr.CmpOpEq, Register: scratch, Data: []byte{p}},
	}
}

// network loads bytes of the IPv4 header, transport of the header after it.
func network(offset, length uint32) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: scratch, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}}
}

func transport(offset, length uint32) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: scratch, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: length}}
}

// equal compares what was loaded.
func equal(data []byte) []expr.Any {
	return []expr.Any{&expr.Cmp{Op: expr.CmpOpEq, Register: scratch, Data: data}}
}

// between matches a loaded port in a range, both ends included.
func between(ports [2]uint16) []expr.Any {
	return []expr.Any{&expr.Range{
		Op: expr.CmpOpEq, Register: scratch,
		FromData: binary.BigEndian.AppendUint16(nil, ports[0]), ToData: binary.BigEndian.AppendUint16(nil, ports[1]),
	}}
}

// noSYN matches loaded TCP flags of a segment that does not open a connection.
func noSYN() []expr.Any {
	const syn, ack = 0x02, 0x10
	return []expr.Any{
		&expr.Bitwise{SourceRegister: scratch, DestRegister: scratch, Len: 1, Mask: []byte{syn | ack}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: scratch, Data: []byte{syn}},
	}
}

func accept() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }

// drop counts and drops.
func drop() []expr.Any { return []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}} }
