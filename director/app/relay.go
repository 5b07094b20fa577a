package app

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/cloud"
	ownrelay "conpaas/director/relay"
	"conpaas/vpn/relay"
)

// relayName is what people see as the relay of pairs that the director's own relay serves.
const relayName = "director"

const (
	nodesKey     = "nodes"                // in the feed: some node has changed
	relayPause   = 500 * time.Millisecond // between two changes of the list of those who may relay
	relayLook    = time.Minute            // between two looks without a change
	relayResolve = 5 * time.Second        // for the director's name
)

// RelayConfig is the director's own relay.
type RelayConfig struct {
	Program string         // path of cpsdirector, which is the relay's program too; "": the director runs no relay
	Listen  netip.AddrPort // IPv4, UDP, for machines that are not on this host; invalid: for none
}

// RelayDir is where the director of a data folder keeps its relay's key and state.
func RelayDir(data string) string { return filepath.Join(data, "relay") }

// relays are the relays beside the managers' own, and who may use them.
type relays struct {
	own    *ownrelay.Own // nil: none
	public api.OverlayKey
	proofs map[api.OverlayKey]string // of relays elsewhere

	mu    sync.Mutex
	list  []api.Relay
	nodes []api.RelayNode // by the age of the node; nil: not known yet
}

// all gives the relays for the machines of all clouds, in order of preference: see api.RelaysFor.
func (r *relays) all() []api.Relay {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list
}

// openRelays makes the director's key and the proofs that relays elsewhere will give.
func (d *Director) openRelays(dir string) error {
	private, public, err := ownrelay.Key(dir)
	if err != nil {
		return err
	}
	r := &d.relays
	r.public, r.proofs, r.list = api.OverlayKey(public), make(map[api.OverlayKey]string), d.config.Relays
	for _, known := range d.config.Relays {
		if r.proofs[known.Key], err = relay.Proof(private, string(known.Key)); err != nil {
			return fmt.Errorf("VPN_BOOTSTRAP_NODES: udp://%s: %w", known.Endpoint, err)
		}
	}
	if d.config.Relay.Program != "" {
		r.own = ownrelay.NewOwn(d.log.With("relay", relayName), d.config.Relay.Program, dir)
	}
	return nil
}

// locate finds out where machines reach the director's relay, and tells whether that is elsewhere than before.
func (d *Director) locate(ctx context.Context) (moved bool) {
	list := slices.Clone(d.config.Relays)
	if d.relays.own != nil {
		for _, name := range slices.Sorted(maps.Keys(d.places)) {
			at, err := d.relayEndpoint(ctx, d.places[name])
			if err != nil {
				d.log.Warn("machines of a cloud cannot use the director's relay", "cloud", name, daemon.KeyError, err)
			}
			if at.IsValid() {
				list = append(list, api.Relay{Name: relayName, Key: d.relays.public, Endpoint: at, Cloud: name})
			}
		}
	}
	d.relays.mu.Lock()
	defer d.relays.mu.Unlock()
	moved = !reflect.DeepEqual(list, d.relays.list)
	d.relays.list = list
	return moved
}

// relayEndpoint is where the machines of a cloud reach the director's relay; invalid where they have no overlay.
func (d *Director) relayEndpoint(ctx context.Context, p *place) (none netip.AddrPort, err error) {
	if !p.overlayActive() {
		return none, nil
	}
	if host, ok := p.provider.(cloud.Host); ok {
		return netip.ParseAddrPort(host.DirectorAddress())
	}
	if !d.config.Relay.Listen.IsValid() {
		return none, nil
	}
	name := d.url.Hostname()
	if at := p.directorAddress(); at != "" {
		if name, _, err = net.SplitHostPort(at); err != nil {
			return none, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, relayResolve)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", name)
	if err != nil {
		return none, err
	}
	for _, a := range found {
		if a = a.Unmap(); !a.IsLoopback() && !d.config.Plan.Prefix().Contains(a) {
			return netip.AddrPortFrom(a, d.config.Relay.Listen.Port()), nil
		}
	}
	return none, fmt.Errorf("%s has no address that other machines reach; set DIRECTOR_ADDRESS of the cloud, or DIRECTOR_URL", name)
}

// relayPlaces are the networks in which the director's relay has a socket.
func (d *Director) relayPlaces() []ownrelay.Place {
	var places []ownrelay.Place
	outside := false
	for _, r := range d.relays.all() {
		p := d.places[r.Cloud]
		if r.Name != relayName || p == nil {
			continue
		}
		if host, ok := p.provider.(cloud.Host); ok {
			places = append(places, ownrelay.Place{Name: "cloud " + p.name + " " + r.Endpoint.String(), Open: host.RelaySocket})
		} else {
			outside = true
		}
	}
	if at := d.config.Relay.Listen; outside {
		places = append(places, ownrelay.Place{Name: "outside " + at.String(), Open: func() (*net.UDPConn, error) {
			return net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		}})
	}
	return places
}

// relaying keeps the relays' lists of nodes, and the director's own relay, until ctx ends.
func (d *Director) relaying(ctx context.Context) {
	if d.relays.own != nil {
		defer d.relays.own.Release()
	}
	changed, stop := d.feed.watch(nodesKey)
	defer stop()
	for ctx.Err() == nil {
		if err := d.relayRound(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("the director's relay is not as it should be", daemon.KeyError, err)
		}
		var ended <-chan struct{}
		if d.relays.own != nil {
			ended = d.relays.own.Ended()
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-ended:
			d.log.Error("the director's relay has ended; it is started again")
		case <-time.After(relayLook):
			if d.locate(ctx) {
				d.wakeAll()
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(relayPause):
		}
	}
}

// relayRound reads who may relay and tells the relays.
func (d *Director) relayRound(ctx context.Context) error {
	nodes, err := d.relayNodes(ctx)
	if err != nil {
		return err
	}
	d.relays.mu.Lock()
	same := d.relays.nodes != nil && slices.Equal(d.relays.nodes, nodes)
	d.relays.nodes = nodes
	d.relays.mu.Unlock()
	if !same {
		d.feed.changed(relayListKey)
	}
	places := d.relayPlaces()
	if d.relays.own == nil || len(places) == 0 {
		return nil
	}
	served := make([]relay.Node, len(nodes))
	for i, n := range nodes {
		served[i] = relay.Node{Key: string(n.Key), Group: n.Application.String()}
	}
	return d.relays.own.Serve(ctx, served, places)
}
