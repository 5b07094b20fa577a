package app

import (
	"maps"
	"time"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// Timing is the manager's patience. It is data so that tests need not be patient.
type Timing struct {
	Grace    time.Duration // how long a fresh manager calls no silent node silent
	Brief    time.Duration // a node that served and falls silent counts as serving for so long
	Resend   time.Duration // an accepted spec that is not applied by then is sent again
	Retry    time.Duration // first pause after a call that went wrong; it doubles up to RetryMax
	RetryMax time.Duration
	Call     time.Duration // an agent must answer within it
	Silence  time.Duration // an agent that reports nothing for so long loses its connection; it reports each 10 s
	Tick     time.Duration // everything is looked at again at least so often
}

// DefaultTiming is what managers use.
func DefaultTiming() Timing {
	return Timing{
		Grace: 30 * time.Second, Brief: 10 * time.Second, Resend: time.Minute,
		Retry: time.Second, RetryMax: 30 * time.Second, Call: 15 * time.Second, Silence: 30 * time.Second, Tick: time.Second,
	}
}

// core is what the manager knows and what follows from it. It is pure: it has no clock, no files and no
// connections, and nothing that it decides has happened until an event says so. It is for one goroutine.
type core struct {
	timing Timing
	halves map[api.ServiceType]service.Half
	relay  *api.Relay // the manager's own relay; nil where there is none

	epoch  api.Epoch
	spec   *api.ManagerSpec                  // nil until the director or the cache has told it
	former map[api.ServiceID]api.ServiceSpec // services of the spec, and stopped ones that still have machines
	since  time.Time                         // when a spec was known first
	grace  bool                              // nodes that have not connected yet are not called silent

	nodes map[api.NodeID]*node // one for each machine of the spec
	peers peerTable
	names names
}

func newCore(halves map[api.ServiceType]service.Half, t Timing) *core {
	return &core{timing: t, halves: halves, nodes: map[api.NodeID]*node{}, former: map[api.ServiceID]api.ServiceSpec{}}
}

// learn takes the whole truth from the director; the caller has refused older epochs. It gives the nodes whose
// connections are to be cut: they are removed, or another machine has taken their place.
func (c *core) learn(now time.Time, epoch api.Epoch, spec api.ManagerSpec) (cut []api.NodeID) {
	if c.spec == nil {
		c.since, c.grace = now, true
	}
	c.epoch, c.spec = epoch, &spec
	c.remember(spec)
	nodes := make(map[api.NodeID]*node, len(spec.Nodes))
	peers := make(map[api.NodeID]api.Peer, len(spec.Nodes))
	for _, info := range spec.Nodes {
		if info.Role == api.ManagerRole {
			continue
		}
		n := c.nodes[info.ID]
		if n == nil || n.info.Key != "" && n.info.Key != info.Key {
			n = &node{}
		}
		n.info = info
		nodes[info.ID] = n
		if isPeer(info) {
			peers[info.ID] = api.Peer{Node: info.ID, Key: info.Key, Address: info.Overlay, Endpoint: info.Endpoint}
		}
	}
	for id, old := range c.nodes {
		if n := nodes[id]; old.session != 0 && (n != old || !admitted(n.info.State)) {
			cut = append(cut, id)
		}
	}
	c.nodes = nodes
	c.peers.update(peers)
	return cut
}

// remember keeps the services whose machines are still there, since one that is stopped is in no spec any more.
func (c *core) remember(spec api.ManagerSpec) {
	used := make(map[api.ServiceID]bool)
	for _, n := range spec.Nodes {
		used[n.Service] = true
		if _, known := c.former[n.Service]; !known && n.Type != "" {
			c.former[n.Service] = api.ServiceSpec{ID: n.Service, Type: n.Type}
		}
	}
	maps.DeleteFunc(c.former, func(id api.ServiceID, _ api.ServiceSpec) bool { return !used[id] })
	for _, s := range spec.Application.Services {
		c.former[s.ID] = s
	}
}

// isPeer tells whether the others are to reach the node over the overlay. A machine that is being removed
// disappears from every peer at once.
func isPeer(n api.NodeInfo) bool { return n.Key != "" && admitted(n.State) }

// admitted tells whether a node in this state may be connected.
func admitted(s api.NodeState) bool {
	switch s {
	case api.NodeFailed, api.NodeDeleting, api.NodeGone:
		return false
	}
	return true
}

// connected takes note of a new connection, which replaces any other of the node. It is false for nodes that
// the manager does not know.
func (c *core) connected(now time.Time, id api.NodeID, session uint64) bool {
	n := c.nodes[id]
	if n == nil || !admitted(n.info.State) {
		return false
	}
	n.connect(now, session)
	return true
}

// disconnected takes note that a connection has ended.
func (c *core) disconnected(now time.Time, id api.NodeID, session uint64) {
	if n := c.nodes[id]; n != nil && n.session == session {
		n.disconnect(now)
	}
}

// reported takes an agent's status.
func (c *core) reported(id api.NodeID, session uint64, status *api.NodeStatus) {
	if n := c.nodes[id]; n != nil && n.session == session {
		n.report(status)
	}
}

// troubled takes what keeps the agent of a connection from being told anything.
func (c *core) troubled(id api.NodeID, session uint64, text string) {
	if n := c.nodes[id]; n != nil && n.session == session {
		n.trouble = text
	}
}

// called takes the outcome of a call that step has decided.
func (c *core) called(now time.Time, done call, err error) {
	if n := c.nodes[done.node]; n != nil && n.session == done.session {
		n.called(now, c.timing, done, err)
	}
}

// endGrace ends the grace when its time is over or every machine that has joined has connected.
func (c *core) endGrace(now time.Time) {
	if !c.grace || now.Sub(c.since) >= c.timing.Grace {
		c.grace = false
		return
	}
	for _, n := range c.nodes {
		if isPeer(n.info) && !n.seen {
			return
		}
	}
	c.grace = false
}
