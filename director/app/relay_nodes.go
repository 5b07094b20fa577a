package app

import (
	"context"
	"crypto/subtle"
	"time"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/store"
)

const (
	relayListKey = "relay nodes"    // in the feed: the list of those who may relay has changed
	relaySign    = 15 * time.Second // between signs of life to relays elsewhere
	relayChunk   = 4096             // nodes in one line
)

// relayNodes gives the nodes that may use relays. A key that a node of another application has too stays the older
// node's: two applications never meet, and nobody takes a relay from others by claiming their key.
func (d *Director) relayNodes(ctx context.Context) ([]api.RelayNode, error) {
	var joined []store.Node
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		joined, err = r.OverlayNodes()
		return err
	})
	if err != nil {
		return nil, err
	}
	nodes, owners := make([]api.RelayNode, 0, len(joined)), make(map[api.OverlayKey]api.NodeID, len(joined))
	for _, n := range joined {
		if owner, taken := owners[n.OverlayKey]; taken {
			d.log.Warn("two nodes have the same overlay key; relays serve the older one", daemon.KeyNode, n.ID, "older", owner)
			continue
		}
		owners[n.OverlayKey] = n.ID
		nodes = append(nodes, api.RelayNode{Key: n.OverlayKey, Application: n.Application})
	}
	return nodes, nil
}

// RelayKey is the director's key, to which relays elsewhere prove theirs.
func (d *Director) RelayKey() api.RelayKey { return api.RelayKey{Key: d.relays.public} }

// KnowsRelay tells whether somebody is the relay of VPN_BOOTSTRAP_NODES with that key.
func (d *Director) KnowsRelay(key api.OverlayKey, proof string) error {
	want, known := d.relays.proofs[key]
	if !known || subtle.ConstantTimeCompare([]byte(want), []byte(proof)) != 1 {
		return api.Errorf(api.CodeUnauthenticated, "relay %.50s: it is not in VPN_BOOTSTRAP_NODES of this director, or its proof is wrong", key)
	}
	return nil
}

// RelayNodes tells a relay who may use it, all at first and then what changes, until ctx ends or emit fails.
func (d *Director) RelayNodes(ctx context.Context, emit func(api.RelayUpdate) error) error {
	changed, stop := d.feed.watch(relayListKey)
	defer stop()
	sign := time.NewTicker(relaySign)
	defer sign.Stop()
	var told map[api.OverlayKey]api.ApplicationID // nil: nothing
	for {
		d.relays.mu.Lock()
		nodes := d.relays.nodes
		d.relays.mu.Unlock()
		if nodes != nil {
			now := make(map[api.OverlayKey]api.ApplicationID, len(nodes))
			var update api.RelayUpdate
			for _, n := range nodes {
				now[n.Key] = n.Application
				if before, was := told[n.Key]; !was || before != n.Application {
					update.Set = append(update.Set, n)
				}
			}
			for key := range told {
				if _, still := now[key]; !still {
					update.Remove = append(update.Remove, key)
				}
			}
			if err := emitRelayUpdate(update, told == nil, emit); err != nil {
				return err
			}
			told = now
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-sign.C:
			if err := emit(api.RelayUpdate{}); err != nil {
				return err
			}
		}
	}
}

// emitRelayUpdate sends an update in lines of a bounded length, and nothing where nothing has changed.
func emitRelayUpdate(u api.RelayUpdate, first bool, emit func(api.RelayUpdate) error) error {
	for len(u.Set)+len(u.Remove) > relayChunk {
		set, remove := u.Set[:min(relayChunk, len(u.Set))], u.Remove[:min(relayChunk, len(u.Remove))]
		if err := emit(api.RelayUpdate{Set: set, Remove: remove}); err != nil {
			return err
		}
		u.Set, u.Remove = u.Set[len(set):], u.Remove[len(remove):]
	}
	if u.Complete = first; !first && len(u.Set)+len(u.Remove) == 0 {
		return nil
	}
	return emit(u)
}
