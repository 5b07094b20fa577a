package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// stored is the content of the spec file: the last spec that a manager has sent, with all peers.
type stored struct {
	Epoch api.Epoch    `json:"epoch"`
	Spec  api.NodeSpec `json:"spec"`
}

// maxSpecFile bounds what is read back; a spec with the most peers has about 12 MB.
const maxSpecFile = 64 << 20

// loadSpec gives the spec that was last accepted. One that cannot be read is put aside: what runs goes on, and
// the next manager's push mends it.
func (a *App) loadSpec() *stored {
	data, err := a.host.State().Read(specFile, maxSpecFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var s stored
	if err == nil {
		if err = json.Unmarshal(data, &s); err == nil {
			return &s
		}
		err = errors.Join(err, a.host.State().Rename(specFile, specFile+".unreadable"))
	}
	a.log.Error("the stored spec cannot be read; what runs goes on until a manager sends a new one", "err", err)
	a.board.event("agent.spec_unreadable", true, "the spec that this node had stored cannot be read (%v); its programs go on, and its manager has to send it again", err)
	return nil
}

// PutSpec accepts a spec: checks it, stores it and has it applied. The epoch has passed the guard.
func (a *App) PutSpec(ctx context.Context, epoch api.Epoch, s api.NodeSpec) error {
	if err := a.check(s); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !s.Overlay.Full {
		if a.desired == nil || a.desired.Spec.Overlay.Version != s.Overlay.Version {
			return api.Errorf(api.CodeConflict, "this node does not have version %d of the peers; send the spec with all of them", s.Overlay.Version)
		}
		s.Overlay.Peers, s.Overlay.Full = a.desired.Spec.Overlay.Peers, true
	}
	next := &stored{Epoch: epoch, Spec: s}
	if err := a.saveSpec(next); err != nil {
		return err
	}
	a.trace.Set(wire.GivenRequestID(ctx))
	a.desired = next
	a.blobs.Want(s.Blobs)
	a.nudge()
	return nil
}

// PatchPeers accepts a change of the peers and has it applied. It is stored by the worker: a node that loses it
// answers api.CodeConflict to the next one, and gets all peers.
func (a *App) PatchPeers(epoch api.Epoch, d api.PeerDelta) error {
	if err := a.checkDelta(d); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.desired == nil || a.desired.Spec.Overlay.Version != d.From {
		return api.Errorf(api.CodeConflict, "this node does not have version %d of the peers; send the whole spec", d.From)
	}
	peers := patch(a.desired.Spec.Overlay.Peers, d)
	if err := a.checkPeers(peers); err != nil {
		return err
	}
	next := *a.desired
	next.Epoch, next.Spec.Overlay.Version, next.Spec.Overlay.Peers = epoch, d.To, peers
	a.desired = &next
	a.nudge()
	return nil
}

// patch gives the peers with the change made, in a list of its own.
func patch(peers []api.Peer, d api.PeerDelta) []api.Peer {
	out := slices.Clone(peers)
	at := make(map[api.NodeID]int, len(out))
	for i, p := range out {
		at[p.Node] = i
	}
	for _, p := range d.Set {
		if i, ok := at[p.Node]; ok {
			out[i] = p
			continue
		}
		at[p.Node] = len(out)
		out = append(out, p)
	}
	gone := make(map[api.NodeID]bool, len(d.Remove))
	for _, n := range d.Remove {
		gone[n] = true
	}
	return slices.DeleteFunc(out, func(p api.Peer) bool { return gone[p.Node] })
}

func (a *App) saveSpec(s *stored) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("store the spec: %w", err)
	}
	// What a loss of power takes the manager sends again.
	if _, err := a.host.State().WriteVolatile(specFile, data, 0o600); err != nil {
		return fmt.Errorf("store the spec: %w", err)
	}
	return nil
}

// latest gives what is wanted now; nil before the first spec. It is never changed in place.
func (a *App) latest() *stored {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.desired
}
