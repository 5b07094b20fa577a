package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"syscall"
	"time"

	"conpaas/agent/host"
	"conpaas/client/api"
	"conpaas/vpn"
	"conpaas/vpn/path"
	"conpaas/vpn/probe"
	"conpaas/vpn/wg"
)

// overlayProgram is the name of the process that carries the datagrams where the kernel does not.
const overlayProgram = "overlay"

const (
	setupTime = 15 * time.Second // for the device to appear
	stuckTime = 30 * time.Second // for its process to answer; one that was stopped never does

	sessionLife      = 180 * time.Second // of WireGuard
	strangersGreeted = 64
)

// wireguard is a real overlay: a device of the kernel or of a process of its own that outlives the agent, its peers and
// their paths, and the packet filter around it.
type wireguard struct {
	a        *App
	plane    string
	iface    string
	selector *path.Selector
	up       chan struct{} // closed when the device has been told its peers for the first time

	mu      sync.Mutex
	device  *wg.Device             // nil until it has been set up
	process int                    // the process that it was set up in; 0: the kernel's
	have    []vpn.Peer             // what the device was told last; nil: nothing
	last    map[string]path.Status // of peers in touch, by name
}

func newWireguard(a *App) (*wireguard, error) {
	network := a.answer.Network
	if !network.Active || !network.Prefix.IsValid() || !network.Prefix.Addr().Is4() || !network.Prefix.Contains(a.answer.Overlay) || network.Port == 0 {
		return nil, fmt.Errorf("the director's answer to the join has no usable overlay: network %s, port %d, address %s", network.Prefix, network.Port, a.answer.Overlay)
	}
	public, err := wg.Public(a.private)
	if err != nil {
		return nil, err
	}
	return &wireguard{a: a, plane: a.dataPlane(), iface: a.iface, selector: path.NewSelector(public, 0), up: make(chan struct{}), last: map[string]path.Status{}}, nil
}

func (o *wireguard) dataPlane() string { return o.plane }

// sync implements overlay. The packet filter is first, so that nothing is open that should not be.
func (o *wireguard) sync(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.a.network()
	wall := host.Firewall{Interface: o.iface, Network: o.a.answer.Network.Prefix, Port: o.a.answer.Network.Port, Expose: n.expose}
	if err := o.a.host.ApplyFirewall(wall); err != nil {
		return err
	}
	if err := o.bring(ctx); err != nil {
		return err
	}
	if err := o.tell(n); err != nil {
		return err
	}
	select {
	case <-o.up:
	default:
		close(o.up)
	}
	return nil
}

// ready implements overlay.
func (o *wireguard) ready() <-chan struct{} { return o.up }

// bring brings the device up, anew when its process is another than before.
func (o *wireguard) bring(ctx context.Context) error {
	process, err := o.program(ctx)
	if err != nil {
		return err
	}
	if o.device != nil && process == o.process {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	if err := wg.Setup(ctx, wg.DeviceConfig{
		Interface: o.iface, PrivateKey: o.a.private, Port: o.a.answer.Network.Port, Address: o.a.answer.Overlay, Network: o.a.answer.Network.Prefix,
	}); err != nil {
		return err
	}
	if o.device == nil {
		if o.device, err = wg.Open(o.iface); err != nil {
			return err
		}
	} else {
		o.a.board.event("overlay.restarted", true, "the process that carries the overlay has ended and was started again")
	}
	o.process, o.have = process, nil
	return nil
}

// program sees to it that there is a device, and gives the process that is behind it.
func (o *wireguard) program(ctx context.Context) (pid int, err error) {
	if o.plane == wg.DataPlaneKernel {
		return 0, wg.CreateKernel(o.iface, 0)
	}
	// Keep: an agent of another version has another path, and must not disturb what is sent.
	overlay := host.Program{Name: overlayProgram, Path: o.a.host.Self(), Args: []string{"overlay", "--interface", o.iface}, Keep: true}
	if err := o.a.host.System().Ensure(ctx, overlay); err != nil {
		return 0, err
	}
	state, _ := o.a.host.System().State(overlayProgram)
	if state.PID == 0 {
		return 0, fmt.Errorf("the overlay's process does not run: %s%s", state.Error, o.a.host.Logs().LastWords(overlayProgram))
	}
	return state.PID, nil
}

// tell gives the device what has changed of its peers. A process that does not answer is killed, and so started anew:
// else the agent would wait for it for ever.
func (o *wireguard) tell(n network) error {
	if o.process != 0 {
		stuck := time.AfterFunc(stuckTime, func() {
			o.a.log.Error("the overlay's process does not answer and is killed")
			if err := o.a.host.System().Signal(overlayProgram, syscall.SIGKILL); err != nil {
				o.a.log.Warn("kill the overlay's process", "err", err)
			}
		})
		defer stuck.Stop()
	}
	peers, relays := devicePeers(n)
	all := slices.Clone(peers)
	for _, r := range relays {
		all = append(all, r.Peer())
	}
	if o.have == nil {
		if err := o.fill(all); err != nil {
			return err
		}
	} else {
		set, gone := vpn.Diff(o.have, all)
		if err := o.device.Apply(set, keysOf(o.have, gone, all)); err != nil {
			o.have = nil // it is not known what the device has taken
			return err
		}
	}
	o.have = all
	known := make(map[string]bool, len(all))
	for _, p := range all {
		known[p.Name] = true
	}
	maps.DeleteFunc(o.last, func(name string, _ path.Status) bool { return !known[name] })
	o.selector.SetPeers(peers)
	o.selector.SetRelays(relays)
	return nil
}

// fill gives the device all its peers. One whose process is new has lost its sessions, and the peers would notice only
// after 15 s: those that were in touch lately are greeted at once, where they were reached last. After a restart of the
// machine nobody knows who was: then a few are greeted as the spec has them. Turning keepalives on makes the device
// send one, and for want of a session it begins with a handshake; where there is a session it is only a datagram.
func (o *wireguard) fill(all []vpn.Peer) error {
	o.remember()
	greeted, quiet := slices.Clone(all), []vpn.Peer(nil)
	for i, p := range all {
		s, known := o.last[p.Name]
		switch {
		case p.Keepalive:
			continue // it greets by itself
		case known && time.Since(s.Handshake) < sessionLife:
			greeted[i].Endpoint = s.Endpoint
		case len(o.last) > 0 || len(quiet) >= strangersGreeted:
			continue
		}
		greeted[i].Keepalive = true
		p.Endpoint = netip.AddrPort{} // as it is
		quiet = append(quiet, p)
	}
	if err := o.device.Replace(greeted); err != nil {
		return err
	}
	return o.device.Apply(quiet, nil)
}

// remember notes where peers were reached last; what a new process does not know yet is not forgotten.
func (o *wireguard) remember() {
	for _, s := range o.selector.Status() {
		if !s.Handshake.IsZero() {
			o.last[s.Name] = s
		}
	}
}

// keysOf gives the keys of the named peers of old and those keys that a peer of both lists no longer has.
func keysOf(old []vpn.Peer, names []string, now []vpn.Peer) []string {
	keys := make(map[string]bool, len(now))
	for _, p := range now {
		keys[p.Key] = true
	}
	gone := make(map[string]bool, len(names))
	for _, n := range names {
		gone[n] = true
	}
	var out []string
	for _, p := range old {
		if gone[p.Name] || !keys[p.Key] {
			out = append(out, p.Key)
		}
	}
	return out
}

func devicePeers(n network) ([]vpn.Peer, []path.Relay) {
	peers := make([]vpn.Peer, len(n.peers), len(n.peers)+len(n.relays))
	for i, p := range n.peers {
		peers[i] = vpn.Peer{Name: string(p.Node), Key: string(p.Key), Address: p.Address, Endpoint: p.Endpoint, Keepalive: p.Keepalive}
	}
	relays := make([]path.Relay, len(n.relays))
	for i, r := range n.relays {
		relays[i] = path.Relay{Name: r.Name, Key: string(r.Key), Endpoint: r.Endpoint}
	}
	return peers, relays
}

// run implements overlay.
func (o *wireguard) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { o.choose(ctx) })
	again := time.NewTicker(path.DefaultPace)
	defer again.Stop()
	broken := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.a.host.System().Changed():
			broken = true
		case <-again.C:
		}
		if broken {
			err := o.sync(ctx)
			if broken = err != nil; broken && ctx.Err() == nil {
				o.a.log.Warn("the overlay is not as it should be", "err", err)
			}
		}
		o.report()
	}
}

// choose keeps the peers on paths that work, once there is a device.
func (o *wireguard) choose(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-o.up:
	}
	defer func() {
		if err := o.device.Close(); err != nil {
			o.a.log.Warn("close the overlay's device", "err", err)
		}
	}()
	for ctx.Err() == nil {
		prober, err := probe.Open(probe.Config{Log: o.a.log, PrivateKey: o.a.private, Port: o.a.answer.Network.Port, Mark: wg.DefaultMark})
		if err != nil {
			o.a.log.Warn("the overlay's paths are chosen without probes", "err", err)
			err = o.selector.Run(ctx, o.a.log, o.device, nil)
		} else {
			err = errors.Join(o.selector.Run(ctx, o.a.log, o.device, prober), prober.Close())
		}
		if ctx.Err() != nil {
			return
		}
		o.a.log.Warn("the choice of the overlay's paths has ended and begins anew", "err", err)
		pause := time.NewTimer(o.a.timing.RetryLast)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// report puts what is known of the peers on the board.
func (o *wireguard) report() {
	o.mu.Lock()
	o.remember()
	o.mu.Unlock()
	status := o.selector.Status()
	peers := make([]api.PeerStatus, len(status))
	for i, s := range status {
		peers[i] = api.PeerStatus{
			Peer: api.NodeID(s.Name), Path: api.PathKind(s.Kind), Relay: s.Relay, Endpoint: s.Endpoint,
			LatencyMS: float64(s.Latency) / float64(time.Millisecond), Received: s.Received, Sent: s.Sent,
		}
		if !s.Handshake.IsZero() {
			peers[i].Handshake = &s.Handshake
		}
	}
	sortPeers(peers)
	now, _ := o.a.board.look()
	if !reflect.DeepEqual(now.Overlay, peers) {
		o.a.board.change(func(s *api.NodeStatus) { s.Overlay = peers })
	}
}
