package app

import (
	"context"
	"maps"
	"net/netip"
	"time"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/wire"
)

// Put takes the whole truth from the director. When it returns nil the spec is kept for a restart, the worker goes by
// it, and the manager's end of the overlay knows every node's key. An older epoch than the newest is
// CodeStale. An overlay that cannot be configured now is CodeUnavailable: the worker goes by the spec all the same, and
// the director repeats the call.
func (w *Worker) Put(ctx context.Context, epoch api.Epoch, spec api.ManagerSpec) error {
	if err := w.check(spec); err != nil {
		return err
	}
	select {
	case w.putting <- struct{}{}:
		defer func() { <-w.putting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var newest api.Epoch
	var taken bool
	var former map[api.ServiceID]api.ServiceSpec
	err := w.do(ctx, func() {
		newest = w.core.epoch
		if taken = epoch.Compare(newest) >= 0; taken {
			w.trace.Set(wire.GivenRequestID(ctx))
			w.learn(epoch, spec)
			former = maps.Clone(w.core.former)
		}
	})
	if err != nil {
		return err
	}
	if !taken {
		return api.Errorf(api.CodeStale, "the spec is of epoch %+v, and this manager obeys %+v", epoch, newest)
	}
	w.wantBlobs(spec)
	if err := writeCache(w.cfg.Cache, kept{Epoch: epoch, Spec: spec, Former: former}); err != nil {
		w.log.Warn("the spec cannot be kept for a restart", daemon.KeyError, err) // it is a cache: go on
	}
	if err := w.configure(ctx, spec); err != nil {
		return api.Errorf(api.CodeUnavailable, "the manager's overlay network is not up: %v", err)
	}
	return nil
}

// wantBlobs keeps the blobs that a spec names.
func (w *Worker) wantBlobs(spec api.ManagerSpec) {
	w.blobs.Want(blobsOf(spec))
	if err := w.blobs.Prune(nil); err != nil {
		w.log.Warn("blobs that are not needed any more stay", daemon.KeyError, err) // until the next spec
	}
	w.post(func() {}) // the director is to hear what is lacking
}

// learn runs in the loop.
func (w *Worker) learn(epoch api.Epoch, spec api.ManagerSpec) {
	if old := w.core.spec; old == nil || old.Application.Revision != spec.Application.Revision {
		w.log.Info("new spec", "revision", spec.Application.Revision, "services", len(spec.Application.Services), "nodes", len(spec.Nodes))
	}
	w.cfg.Certificate.Want(spec.Trust)
	for _, id := range w.core.learn(time.Now(), epoch, spec) {
		w.log.Info("cutting the connection of a node that is removed or replaced", daemon.KeyNode, id)
		w.cut(id)
	}
}

// configure brings the manager's end of the overlay to the spec.
func (w *Worker) configure(ctx context.Context, spec api.ManagerSpec) error {
	var peers []api.Peer
	for _, n := range spec.Nodes {
		if n.Role == api.ManagerRole || !isPeer(n) {
			continue
		}
		endpoint := n.Endpoint
		if n.Cloud != spec.Cloud && n.Public.IsValid() {
			endpoint = netip.AddrPortFrom(n.Public, endpoint.Port())
		}
		peers = append(peers, api.Peer{Node: n.ID, Key: n.Key, Address: n.Overlay, Endpoint: endpoint})
	}
	return w.cfg.Overlay.Configure(ctx, peers, api.RelaysFor(spec.Cloud, spec.Relays))
}

// check refuses specs that cannot be for this manager or contradict themselves.
func (w *Worker) check(spec api.ManagerSpec) error {
	a := spec.Application
	if a.ID != w.cfg.Application {
		return api.InField("application.id", "this is the manager of application %s, not of %s", w.cfg.Application, a.ID)
	}
	services := make(map[api.ServiceID]bool, len(a.Services))
	for _, s := range a.Services {
		if services[s.ID] {
			return api.InField("application.services", "service %s is listed twice", s.ID)
		}
		services[s.ID] = true
	}
	nodes := make(map[api.NodeID]bool, len(spec.Nodes))
	for _, n := range spec.Nodes {
		switch {
		case n.ID == "":
			return api.InField("nodes", "a node has no id")
		case nodes[n.ID]:
			return api.InField("nodes", "node %s is listed twice", n.ID)
		case n.Key != "" && a.Network.Active && !a.Network.Prefix.Contains(n.Overlay):
			return api.InField("nodes", "node %s: its address %s is not in the network %s", n.ID, n.Overlay, a.Network.Prefix)
		}
		nodes[n.ID] = true
	}
	return nil
}
