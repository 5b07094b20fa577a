package local

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/address"
	"conpaas/director/cloud/local/bridge"
	"conpaas/director/cloud/local/forward"
	"conpaas/director/cloud/local/netns"
)

// bridged is what runtimes have in common whose machines have ports at the bridge of the cloud's network namespace.
type bridged struct {
	cloud   *Cloud
	net     *bridge.Network // nil unless it is up
	mapping publishing
}

// port is the place of a machine at the bridge.
func port(a netip.Addr) bridge.Port {
	ip := a.As4()
	return bridge.Port{Name: "m" + hex.EncodeToString(ip[:]), Address: a}
}

// raise opens or makes the namespace with the bridge, which knows the machines given.
func (k *bridged) raise(existing []record) error {
	if err := k.cloud.mode.makeTUN(k.cloud.at.tun); err != nil {
		return err
	}
	pin := k.cloud.at.netns()
	space, err := netns.Open(pin)
	if errors.Is(err, netns.ErrAbsent) {
		if err = netns.Pin(pin); err == nil {
			k.cloud.place("start:pinned")
			space, err = netns.Open(pin)
		}
	}
	if err != nil {
		return err
	}
	k.net = &bridge.Network{
		Namespace: space, Address: netip.PrefixFrom(address.Gateway(k.cloud.set.subnet), k.cloud.set.subnet.Bits()),
		Director: k.cloud.set.port, Underlay: k.cloud.set.underlay,
	}
	ports := make([]bridge.Port, 0, len(existing))
	for _, r := range existing {
		ports = append(ports, port(r.Address))
	}
	if err := k.net.Up(ports); err != nil {
		return err
	}
	return k.mapping.open(k.cloud)
}

func (k *bridged) down() error {
	if k.net == nil {
		return nil
	}
	k.mapping.end()
	err := k.net.Namespace.Close()
	k.net = nil
	return err
}

// network is the bridge, nil unless it is up.
func (k *bridged) network() *bridge.Network { return k.net }

func (k *bridged) publish(ctx context.Context, m *machine, port uint16) (string, error) {
	host, err := k.mapping.publish(ctx, m.id, netip.AddrPortFrom(m.now.Load().Address, port))
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), host).String(), err
}

func (k *bridged) unpublish(ctx context.Context, id cloud.MachineID) error {
	return k.mapping.unpublish(ctx, id)
}

func (k *bridged) republish(ctx context.Context) {
	f := &forward.Own{
		Log: k.cloud.config.Log, Program: k.cloud.config.Program, Dir: k.cloud.at.forward(), Network: k.net.Namespace.File, Place: k.cloud.place,
	}
	k.mapping.begin(ctx, f, func(id cloud.MachineID) bool {
		k.cloud.mu.Lock()
		defer k.cloud.mu.Unlock()
		return k.cloud.machines[id] != nil
	})
}

func (k *bridged) keep(ctx context.Context) { k.mapping.keep(ctx) }

// listen listens inside the cloud's network.
func (k *bridged) listen(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	return k.net.Namespace.Listen(ctx, at)
}

// disconnect takes a machine's port away.
func (k *bridged) disconnect(r record) error {
	if r.Address.IsValid() {
		if err := k.net.Disconnect(port(r.Address)); err != nil {
			return err
		}
	}
	k.cloud.place("erase:disconnected")
	return nil
}
