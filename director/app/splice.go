package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"conpaas/certs"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/wire"
	"conpaas/director/store"
)

// The bounds of what the director carries between agents and managers that do not reach each other. It is the way in of
// machines in trouble, not a network.
const (
	splicesPerApplication = 256
	splicesInAll          = 2048
	spliceCheck           = 10 * time.Second // between two looks at whether the agent still may; events make it look at once
)

// splices are the connections that are carried now, one of each node at most.
type splices struct {
	mu           sync.Mutex
	nodes        map[api.NodeID]*splice
	applications map[api.ApplicationID]int
}

// splice is one of them, with the bytes that it has carried.
type splice struct {
	application api.ApplicationID
	end         context.CancelFunc
	up, down    atomic.Int64
}

// begin takes a place for a node; what the node had before ends.
func (s *splices) begin(n store.Node, end context.CancelFunc) (*splice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.nodes[n.ID]; old != nil {
		old.end()
		s.drop(n.ID, old)
	}
	if s.applications[n.Application] >= splicesPerApplication || len(s.nodes) >= splicesInAll {
		return nil, api.Errorf(api.CodeThrottled, "the director carries %d connections, %d of application %s, and takes no more; open UDP between the machines",
			len(s.nodes), s.applications[n.Application], n.Application)
	}
	if s.nodes == nil {
		s.nodes, s.applications = make(map[api.NodeID]*splice), make(map[api.ApplicationID]int)
	}
	p := &splice{application: n.Application, end: end}
	s.nodes[n.ID] = p
	s.applications[n.Application]++
	return p, nil
}

// finish gives a place back.
func (s *splices) finish(id api.NodeID, p *splice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes[id] == p {
		s.drop(id, p)
	}
}

// drop is called with the lock held.
func (s *splices) drop(id api.NodeID, p *splice) {
	delete(s.nodes, id)
	if s.applications[p.application]--; s.applications[p.application] == 0 {
		delete(s.applications, p.application)
	}
}

// of tells what is carried for a node.
func (s *splices) of(id api.NodeID) (up, down int64, carried bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.nodes[id]
	if p == nil {
		return 0, 0, false
	}
	return p.up.Load(), p.down.Load(), true
}

// Splice carries the connection of an agent to the manager of its application until one of them ends it, or the agent may
// not connect any more. Agent and manager check each other inside it: the director sees sealed bytes.
func (d *Director) Splice(w http.ResponseWriter, r *http.Request, id certs.Identity) error {
	ctx, end := context.WithCancel(r.Context())
	defer end()
	n, v, err := d.spliced(ctx, id)
	if err != nil {
		return err
	}
	if err := wire.CheckUpgrade(r, api.SpliceProtocol); err != nil {
		return err
	}
	client, err := d.managerOf(v)
	if err != nil {
		return err
	}
	place, err := d.splices.begin(n, end)
	if err != nil {
		return err
	}
	defer d.splices.finish(n.ID, place)
	below, err := client.Splice(ctx, d.epoch(v))
	if err != nil {
		return err
	}
	defer below.Close()
	above, err := wire.TakeOver(w, r, api.SpliceProtocol)
	if err != nil {
		return err
	}
	defer above.Close()
	log := d.log.With(daemon.KeyApplication, n.Application, daemon.KeyNode, n.ID)
	log.Info("the connection of an agent to its manager is carried")
	began := time.Now()
	var carrying sync.WaitGroup
	carrying.Go(func() { defer end(); carry(log, below, above, &place.up) })
	carrying.Go(func() { defer end(); carry(log, above, below, &place.down) })
	err = d.whileAllowed(ctx, r, id, applicationKey(v.ID))
	past := time.Unix(1, 0)
	_ = errors.Join(above.SetDeadline(past), below.SetDeadline(past)) // what is dead already needs no deadline
	carrying.Wait()
	log.Info("the connection of an agent is no longer carried", "why", err, "up", place.up.Load(), "down", place.down.Load(), "time", time.Since(began).Round(time.Second))
	return nil
}

// spliced gives the node whose agent may be connected to its manager, and its application.
func (d *Director) spliced(ctx context.Context, id certs.Identity) (n store.Node, v store.Application, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		if n, err = r.Node(api.NodeID(id.Node)); err != nil {
			return err
		}
		v, err = r.Application(n.Application)
		return err
	})
	switch {
	case notFound(err) || err == nil && !acts(n):
		return n, v, api.Errorf(api.CodeForbidden, "node %s is no longer a node of this installation", id.Node)
	case err == nil && (n.IsManager() || n.Application.String() != id.Application):
		return n, v, api.Errorf(api.CodeNotFound, "application %s has no agent %s", id.Application, id.Node)
	}
	return n, v, problem(err)
}

// whileAllowed waits until ctx ends, or the caller may not connect any more: its certificate has ended or was revoked, or
// its node is on its way out.
func (d *Director) whileAllowed(ctx context.Context, r *http.Request, id certs.Identity, key string) error {
	changed, stop := d.feed.watch(key)
	defer stop()
	tick := time.NewTicker(spliceCheck)
	defer tick.Stop()
	for {
		if c, err := d.CertificateCaller(ctx, r.TLS); ctx.Err() == nil && (err != nil || c.Expired) {
			return errors.Join(err, errNotAllowed)
		}
		if _, _, err := d.spliced(ctx, id); ctx.Err() == nil && err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
		}
	}
}

var errNotAllowed = errors.New("its certificate is not valid any more")

// carry copies until either end is closed, and counts.
func carry(log *slog.Logger, to, from net.Conn, count *atomic.Int64) {
	buffer := make([]byte, 32<<10)
	for {
		k, err := from.Read(buffer)
		if k > 0 {
			count.Add(int64(k))
			if _, failed := to.Write(buffer[:k]); failed != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				log.Debug("a carried connection broke", daemon.KeyError, err)
			}
			return
		}
	}
}

// showSplice shows that a node's connection to its manager is carried, where it has no path to it: whatever else it would
// send there does not arrive.
func (d *Director) showSplice(node, manager api.NodeID, peers []api.PeerStatus) []api.PeerStatus {
	up, down, carried := d.splices.of(node)
	if !carried || manager == "" {
		return peers
	}
	shown := api.PeerStatus{Peer: manager, Path: api.PathSpliced, Relay: relayName, Sent: up, Received: down}
	i := slices.IndexFunc(peers, func(p api.PeerStatus) bool { return p.Peer == manager })
	switch {
	case i < 0:
		return append(peers, shown)
	case peers[i].Path == api.PathNone || peers[i].Path == api.PathPlanned:
		peers[i] = shown
	}
	return peers
}
