package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Firewall is what the machine's packet filter lets in. Loopback and the overlay's interface are open;
// everything else is the outside, where only these pass: sealed datagrams to Port, answers to what the machine
// has asked, ICMP, and the exposed TCP ports. A packet from outside that claims to belong to the overlay is
// dropped, and the machine carries no packets between the overlay and other networks.
type Firewall struct {
	Interface string       // the overlay's
	Network   netip.Prefix // the overlay's, IPv4
	Port      uint16       // UDP port of WireGuard
	Expose    []uint16     // TCP ports
}

const firewallTable = "conpaas"

// ApplyFirewall replaces the rules of the agent's own table in one step; the machine's other tables are left
// alone. It acts on the network namespace of the calling thread.
func (h *Host) ApplyFirewall(f Firewall) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := &nftables.Table{Name: firewallTable, Family: nftables.TableFamilyINet}
	conn.AddTable(table) // so that the removal finds one
	conn.DelTable(table)
	conn.AddTable(table)
	policy := nftables.ChainPolicyDrop
	chain := conn.AddChain(&nftables.Chain{
		Name: "input", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput,
		Priority: nftables.ChainPriorityFilter, Policy: &policy,
	})
	for _, exprs := range f.rules() {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
	}
	forward := conn.AddChain(&nftables.Chain{
		Name: "forward", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward,
		Priority: nftables.ChainPriorityFilter,
	})
	conn.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: verdict(expr.VerdictDrop, fromInterface(f.Interface))})
	conn.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: verdict(expr.VerdictDrop, toInterface(f.Interface))})
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("set the packet filter (nftables table %s): %w", firewallTable, err)
	}
	return nil
}

// rules are in order: the first that matches decides, and what none matches is dropped. WireGuard and answers
// stand before the check of the source, since the cloud's own addresses may lie in the overlay's range.
func (f Firewall) rules() [][]expr.Any {
	rules := [][]expr.Any{
		accept(fromInterface("lo")),
		accept(fromInterface(f.Interface)),
		accept(protocol(unix.IPPROTO_UDP), destinationPort(f.Port)),
		accept(answers()),
		verdict(expr.VerdictDrop, fromNetwork(f.Network)),
		accept(protocol(unix.IPPROTO_ICMP)),
		accept(protocol(unix.IPPROTO_ICMPV6)),
	}
	for _, port := range f.Expose {
		rules = append(rules, accept(protocol(unix.IPPROTO_TCP), destinationPort(port)))
	}
	return rules
}

func accept(matches ...[]expr.Any) []expr.Any { return verdict(expr.VerdictAccept, matches...) }

func verdict(kind expr.VerdictKind, matches ...[]expr.Any) []expr.Any {
	var all []expr.Any
	for _, m := range matches {
		all = append(all, m...)
	}
	return append(all, &expr.Verdict{Kind: kind})
}

func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func fromInterface(name string) []expr.Any { return anInterface(expr.MetaKeyIIFNAME, name) }

func toInterface(name string) []expr.Any { return anInterface(expr.MetaKeyOIFNAME, name) }

func anInterface(key expr.MetaKey, name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, equal(padded)}
}

func protocol(number byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{number})}
}

// destinationPort reads bytes 2 and 3 of the transport header, which UDP and TCP have in common.
func destinationPort(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		equal(binary.BigEndian.AppendUint16(nil, port)),
	}
}

// answers matches what belongs to a connection that the machine has opened or accepted.
func answers() []expr.Any {
	mask := binary.NativeEndian.AppendUint32(nil, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	zero := make([]byte, 4)
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: zero},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: zero},
	}
}

// fromNetwork reads the source address of an IPv4 header (offset 12).
func fromNetwork(network netip.Prefix) []expr.Any {
	address := network.Masked().Addr().As4()
	mask := binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-network.Bits()))
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{unix.NFPROTO_IPV4}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		equal(address[:]),
	}
}
