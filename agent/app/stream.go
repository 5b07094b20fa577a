package app

import (
	"context"
	"reflect"
	"slices"
	"time"

	"conpaas/client/api"
)

// chunk is how many peers stand in one line of a stream, so that a line stays far below the 4 MiB that are read.
const chunk = 4096

// Reports emits the status of the node: all of it at first, then what changes, and a sign of life when nothing
// does, until ctx ends or emit fails. A slow reader is sent fewer lines, never a queue of old ones.
func (a *App) Reports(ctx context.Context, emit func(api.AgentReport) error) error {
	heartbeat := time.NewTicker(a.timing.Heartbeat)
	defer heartbeat.Stop()
	s := sender{emit: emit, refresh: a.timing.Counters}
	for {
		status, newer := a.board.look()
		if err := s.status(status, time.Now()); err != nil {
			return err
		}
		for _, e := range a.board.take() {
			e.Node = a.boot.Node
			if err := emit(api.AgentReport{Event: &e}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-newer:
		case <-heartbeat.C:
			if err := emit(api.AgentReport{}); err != nil {
				return err
			}
		}
	}
}

// sender is one stream: it remembers what it has sent.
type sender struct {
	emit    func(api.AgentReport) error
	refresh time.Duration

	begun    bool
	rest     api.NodeStatus // all but Overlay
	peers    map[api.NodeID]api.PeerStatus
	counters time.Time // when they were sent
}

// status sends what is new in s.
func (d *sender) status(s api.NodeStatus, now time.Time) error {
	peers := d.news(s.Overlay, now)
	s.Overlay = nil
	if d.begun && len(peers) == 0 && reflect.DeepEqual(s, d.rest) {
		return nil
	}
	first := true
	for part := range slices.Chunk(peers, chunk) {
		if err := d.line(s, part); err != nil {
			return err
		}
		first = false
	}
	if first {
		if err := d.line(s, nil); err != nil {
			return err
		}
	}
	d.begun, d.rest = true, s
	return nil
}

func (d *sender) line(s api.NodeStatus, peers []api.PeerStatus) error {
	s.Overlay = peers
	return d.emit(api.AgentReport{Status: &s})
}

// news gives the peers that are not as they were sent, those that are gone with an empty Path. Mere counters are
// news only from time to time.
func (d *sender) news(peers []api.PeerStatus, now time.Time) []api.PeerStatus {
	all := now.Sub(d.counters) >= d.refresh
	if all {
		d.counters = now
	}
	var out []api.PeerStatus
	known := make(map[api.NodeID]api.PeerStatus, len(peers))
	for _, p := range peers {
		old, was := d.peers[p.Peer]
		if !was || old.Path != p.Path || old.Relay != p.Relay || old.Endpoint != p.Endpoint || all && !reflect.DeepEqual(old, p) {
			old = p
			out = append(out, p)
		}
		known[p.Peer] = old
	}
	for id := range d.peers {
		if _, still := known[id]; !still {
			out = append(out, api.PeerStatus{Peer: id})
		}
	}
	d.peers = known
	return out
}
