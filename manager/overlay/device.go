//go:build linux

package overlay

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/daemon/proc"
	"conpaas/client/join"
	"conpaas/vpn"
	"conpaas/vpn/path"
	"conpaas/vpn/wg"
)

const (
	// DefaultInterface is the name of the overlay's network interface.
	DefaultInterface = "cps0"

	setupTime     = 15 * time.Second // for the device to appear
	stuckTime     = 30 * time.Second // for its process to answer; one that was stopped never does
	upEvery       = 2 * time.Second  // between two tries to bring the network up
	statusEvery   = 5 * time.Second
	countersEvery = time.Minute // a status that differs only in counters is news only so often
)

// Config is what a Device is made of.
type Config struct {
	Log                      *slog.Logger
	Program                  string // path of cpsmanager
	RunDir, StateDir, LogDir string
	Application              api.ApplicationID
	Network                  api.Network
	Address                  netip.Addr // the manager's, in the overlay
	Outside                  netip.Addr // of the machine, where nodes reach its relay; invalid: no relay
	Interface                string     // DefaultInterface where it is empty
}

// Device is a network that is brought up.
type Device struct {
	cfg      Config
	log      *slog.Logger
	private  string
	plane    string
	selector *path.Selector
	relay    *relayEnd // nil: none

	mu      sync.Mutex // one configuration at a time
	device  *wg.Device // nil until it has been set up for the first time
	ready   bool       // it has been set up with the process that carries the datagrams now
	program *program   // that carries the datagrams; nil where the kernel does
	known   bool       // the peers and relays below have been told
	peers   []vpn.Peer
	relays  []path.Relay
	have    []vpn.Peer // what the device was told last; nil: unknown

	status struct {
		sync.Mutex
		peers []api.PeerStatus
		at    time.Time
	}
}

// New prepares the device; Up brings it up. The private key is the one that the manager has joined with.
func New(c Config) (*Device, error) {
	n := c.Network
	if !n.Active || !n.Prefix.IsValid() || !n.Prefix.Contains(c.Address) || n.Port == 0 {
		return nil, fmt.Errorf("the director's answer to the join has no usable overlay: network %s, port %d, address %s", n.Prefix, n.Port, c.Address)
	}
	if c.Interface == "" {
		c.Interface = DefaultInterface
	}
	private, err := join.OverlayKey(c.StateDir, wg.NewKey)
	if err != nil {
		return nil, err
	}
	public, err := wg.Public(private)
	if err != nil {
		return nil, fmt.Errorf("%w; give the manager a new machine", err)
	}
	d := &Device{cfg: c, log: c.Log, private: private, plane: wg.Detect(), selector: path.NewSelector(public, 0)}
	if d.plane == wg.DataPlaneUserspace {
		d.program = newProgram(c, "overlay", "--interface", c.Interface)
	}
	if c.Outside.IsValid() {
		if d.relay, err = newRelayEnd(c); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Relay gives the relay that this manager runs, nil where there is none.
func (d *Device) Relay() *api.Relay {
	if d.relay == nil {
		return nil
	}
	return &d.relay.public
}

// Configure brings the network up where it is not, and makes the device and the relay know exactly these peers.
func (d *Device) Configure(ctx context.Context, peers []api.Peer, relays []api.Relay) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known, d.peers, d.relays = true, make([]vpn.Peer, len(peers)), make([]path.Relay, len(relays))
	for i, p := range peers {
		d.peers[i] = vpn.Peer{Name: string(p.Node), Key: string(p.Key), Address: p.Address, Endpoint: p.Endpoint, Keepalive: p.Keepalive}
	}
	for i, r := range relays {
		d.relays[i] = path.Relay{Name: r.Name, Key: string(r.Key), Endpoint: r.Endpoint}
	}
	return d.sync(ctx)
}

// Up brings the network up, with the peers that it had.
func (d *Device) Up(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sync(ctx)
}

// sync is called with the lock held. Repeating it disturbs nothing.
func (d *Device) sync(ctx context.Context) error {
	if err := d.bring(ctx); err != nil {
		return err
	}
	if !d.known {
		return nil // a device that was adopted keeps what it has
	}
	if d.program != nil {
		process := d.program.process
		stuck := time.AfterFunc(stuckTime, func() { d.kill(process) })
		defer stuck.Stop()
	}
	if err := d.tell(); err != nil {
		return err
	}
	d.selector.SetPeers(d.peers)
	d.selector.SetRelays(d.relays)
	if d.relay != nil {
		return d.relay.serve(d.peers)
	}
	return nil
}

// tell gives the device what has changed of its peers. What has not is left alone: the selector has chosen its path.
func (d *Device) tell() error {
	all := slices.Clone(d.peers)
	for _, r := range d.relays {
		all = append(all, r.Peer())
	}
	var err error
	if d.have == nil {
		if err = d.device.Replace(all); err == nil && d.program != nil && d.program.started {
			d.greet()
		}
	} else {
		set, _ := vpn.Diff(d.have, all)
		if gone := goneKeys(d.have, all); len(set)+len(gone) > 0 {
			err = d.device.Apply(set, gone)
		}
	}
	if err != nil {
		d.have = nil // it is not known what the device has taken
		return err
	}
	d.have = slices.Concat([]vpn.Peer{}, all) // never nil
	return nil
}

// greet sends something to every peer, so that the device makes sessions with them. The peers of a device that was started
// again go on using the old ones, and would not notice for 15 s.
func (d *Device) greet() {
	const discard = 9 // RFC 863
	for _, p := range d.peers {
		if !p.Endpoint.IsValid() {
			continue
		}
		conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.Address, discard)))
		if err == nil {
			_, err = conn.Write([]byte{0})
			conn.Close()
		}
		if err != nil {
			d.log.Debug("greet an overlay peer", daemon.KeyNode, p.Name, daemon.KeyError, err)
		}
	}
	d.program.started = false
}

// goneKeys gives the keys of old that current does not have.
func goneKeys(old, current []vpn.Peer) []string {
	keys := make(map[string]bool, len(current))
	for _, p := range current {
		keys[p.Key] = true
	}
	var gone []string
	for _, p := range old {
		if !keys[p.Key] {
			gone = append(gone, p.Key)
		}
	}
	return gone
}

// bring makes the device, anew when its process is another than before.
func (d *Device) bring(ctx context.Context) error {
	if d.program == nil {
		if err := wg.CreateKernel(d.cfg.Interface, 0); err != nil {
			return err
		}
	} else {
		fresh, err := d.program.ensure()
		if err != nil {
			return err
		}
		d.ready = d.ready && !fresh
	}
	if d.ready {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	err := wg.Setup(ctx, wg.DeviceConfig{
		Interface: d.cfg.Interface, PrivateKey: d.private, Port: d.cfg.Network.Port, Address: d.cfg.Address, Network: d.cfg.Network.Prefix,
	})
	if err != nil {
		return err
	}
	if d.device == nil {
		if d.device, err = wg.Open(d.cfg.Interface); err != nil {
			return err
		}
	}
	d.ready, d.have = true, nil
	return nil
}

// kill ends a process that does not answer, so that it is started anew: else the manager would wait for it for ever.
func (d *Device) kill(process *proc.Process) {
	d.log.Error("the overlay's process does not answer and is killed")
	ctx, cancel := context.WithTimeout(context.Background(), stuckTime)
	defer cancel()
	if err := process.KillSession(ctx, 0); err != nil {
		d.log.Warn("kill the overlay's process", daemon.KeyError, err)
	}
}

// Status gives the kind of the data plane and how it sees each peer.
func (d *Device) Status() (string, []api.PeerStatus) {
	d.status.Lock()
	defer d.status.Unlock()
	return d.plane, d.status.peers
}

// refresh takes the status from the selector.
func (d *Device) refresh(now time.Time) {
	list := d.selector.Status()
	peers := make([]api.PeerStatus, len(list))
	for i, s := range list {
		peers[i] = api.PeerStatus{
			Peer: api.NodeID(s.Name), Path: api.PathKind(s.Kind), Relay: s.Relay, Endpoint: s.Endpoint,
			LatencyMS: float64(s.Latency) / float64(time.Millisecond), Received: s.Received, Sent: s.Sent,
		}
		if !s.Handshake.IsZero() {
			peers[i].Handshake = &s.Handshake
		}
	}
	slices.SortFunc(peers, func(a, b api.PeerStatus) int { return cmp.Compare(a.Peer, b.Peer) })
	peers = first(peers)
	d.status.Lock()
	defer d.status.Unlock()
	moved := !slices.EqualFunc(peers, d.status.peers, func(a, b api.PeerStatus) bool {
		return a.Peer == b.Peer && a.Path == b.Path && a.Relay == b.Relay && a.Endpoint == b.Endpoint
	})
	if moved || now.Sub(d.status.at) >= countersEvery && !reflect.DeepEqual(peers, d.status.peers) {
		d.status.peers, d.status.at = peers, now
	}
}
