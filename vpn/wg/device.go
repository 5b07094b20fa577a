//go:build linux

package wg

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"conpaas/vpn"
)

// patience is how long a device may take for an answer.
const patience = 5 * time.Second

// Device is a device that Setup has brought up, for changing its peers. Its methods may be called from
// several goroutines; each reads the device's peers anew, so that a device process that was started again is
// never taken for the one before. One that does not answer within 5 s is an error.
type Device struct {
	control  *control
	patience time.Duration
}

// PeerState is one peer as the device has it.
type PeerState struct {
	Key            string         // public, base64
	Address        netip.Addr     // overlay address; invalid for a relay
	Endpoint       netip.AddrPort // where its datagrams go now; follows the peer when it moves. Invalid: unknown
	Handshake      time.Time      // last; zero: never
	Received, Sent int64          // bytes of sealed datagrams
}

// Open gives a device that exists.
func Open(iface string) (*Device, error) {
	c, err := newControl(iface)
	if err != nil {
		return nil, err
	}
	d := &Device{control: c, patience: patience}
	if _, err := d.read(); err != nil {
		return nil, errors.Join(err, c.client.Close())
	}
	return d, nil
}

func (d *Device) read() (*wgtypes.Device, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d.patience)
	defer cancel()
	return d.control.read(ctx)
}

func (d *Device) configure(list []wgtypes.PeerConfig) error {
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.patience)
	defer cancel()
	return d.control.configure(ctx, wgtypes.Config{Peers: list})
}

// Apply sets the peers in set and removes those whose public keys are in remove; all others, and those that
// are already as wanted, are left alone. A valid endpoint in set replaces the one that the peer has.
// AllowedIPs are always exactly the peer's /32.
func (d *Device) Apply(set []vpn.Peer, remove []string) error {
	return d.change(set, remove, applyDelta)
}

// Replace makes peers the whole list of the device. Peers that are already in it keep their session, and
// their endpoint too where the last handshake is younger than 180 s: it may be a relay's, or the peer has moved.
func (d *Device) Replace(peers []vpn.Peer) error {
	return d.change(peers, nil, replaceList)
}

func (d *Device) change(set []vpn.Peer, remove []string, how mode) error {
	dev, err := d.read()
	if err != nil {
		return err
	}
	list, err := changes(dev.Peers, set, remove, how, time.Now())
	if err != nil {
		return err
	}
	return d.configure(list)
}

// SetEndpoint changes where a peer's datagrams go and nothing else: the session goes on. A key that the
// device does not have is ignored.
func (d *Device) SetEndpoint(key string, to netip.AddrPort) error {
	k, err := wgtypes.ParseKey(key)
	if err != nil {
		return fmt.Errorf("overlay peer: its key is not 32 bytes in base64")
	}
	return d.configure([]wgtypes.PeerConfig{{PublicKey: k, UpdateOnly: true, Endpoint: endpoint(to)}})
}

// Reset forgets the session with a peer and starts a handshake with it at an endpoint at once, as a relay
// needs it that has not seen the session's beginning. An invalid endpoint keeps the one that the peer has; a
// key that the device does not have is ignored.
func (d *Device) Reset(key string, to netip.AddrPort) error {
	k, err := wgtypes.ParseKey(key)
	if err != nil {
		return fmt.Errorf("overlay peer: its key is not 32 bytes in base64")
	}
	dev, err := d.read()
	if err != nil {
		return err
	}
	for _, p := range dev.Peers {
		if p.PublicKey == k {
			return d.configure(reset(p, to))
		}
	}
	return nil
}

// Greet makes the device send peers something now: where there is no session a handshake, else a keepalive. Nothing else
// changes. Keys that the device does not have are ignored.
func (d *Device) Greet(keys []string) error {
	dev, err := d.read()
	if err != nil {
		return err
	}
	var list []wgtypes.PeerConfig
	for _, p := range dev.Peers {
		if slices.Contains(keys, p.PublicKey.String()) {
			list = append(list, greet(p)...)
		}
	}
	return d.configure(list)
}

// greet turns keepalives on, which sends one, in a way that does so for peers that have them too, and leaves them as
// they were.
func greet(p wgtypes.Peer) []wgtypes.PeerConfig {
	off, on, before := time.Duration(0), keepalive, p.PersistentKeepaliveInterval
	return []wgtypes.PeerConfig{
		{PublicKey: p.PublicKey, UpdateOnly: true, PersistentKeepaliveInterval: &off},
		{PublicKey: p.PublicKey, UpdateOnly: true, PersistentKeepaliveInterval: &on},
		{PublicKey: p.PublicKey, UpdateOnly: true, PersistentKeepaliveInterval: &before},
	}
}

// reset removes a peer and adds it again. Turning keepalives on makes the device send one now, and for want
// of a session it starts with a handshake; then they are set to what they were.
func reset(p wgtypes.Peer, to netip.AddrPort) []wgtypes.PeerConfig {
	if !to.IsValid() {
		to = endpointOf(p)
	}
	now, interval := keepalive, p.PersistentKeepaliveInterval
	return []wgtypes.PeerConfig{
		{PublicKey: p.PublicKey, Remove: true, UpdateOnly: true},
		{PublicKey: p.PublicKey, Endpoint: endpoint(to), ReplaceAllowedIPs: true, AllowedIPs: p.AllowedIPs, PersistentKeepaliveInterval: &now},
		{PublicKey: p.PublicKey, UpdateOnly: true, PersistentKeepaliveInterval: &interval},
	}
}

// Peers gives every peer of the device in no particular order.
func (d *Device) Peers() ([]PeerState, error) {
	dev, err := d.read()
	if err != nil {
		return nil, err
	}
	states := make([]PeerState, len(dev.Peers))
	for i, p := range dev.Peers {
		states[i] = PeerState{
			Key: p.PublicKey.String(), Address: addressOf(p), Endpoint: endpointOf(p),
			Received: p.ReceiveBytes, Sent: p.TransmitBytes,
		}
		if p.LastHandshakeTime.Unix() > 0 {
			states[i].Handshake = p.LastHandshakeTime.UTC()
		}
	}
	return states, nil
}

// Close lets go of the device, which stays as it is.
func (d *Device) Close() error { return d.control.client.Close() }
