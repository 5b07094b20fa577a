package app

import (
	"time"

	"conpaas/client/api"
)

// call is one call to an agent that is to be made now. It has a spec, a delta, names or what is to be trusted.
type call struct {
	node    api.NodeID
	session uint64
	epoch   api.Epoch
	spec    *api.NodeSpec
	delta   *api.PeerDelta
	names   *api.Names
	trust   string
	slow    bool   // the last call to this node went wrong: it must not keep others waiting
	digest  string // of spec
	sum     string // of the names that go with it
	synced  synced // what the agent knows once it has accepted
}

// next gives the call that the node needs now, if any. A node that is held gets no spec, only news of peers.
func (c *core) next(now time.Time, n *node, d *desired) (call, bool) {
	if n.session == 0 || !n.fresh || n.busy || now.Before(n.retryAt) {
		return call{}, false
	}
	keepalive := n.keepalive()
	to := synced{known: true, seq: c.peers.seq(), version: c.peers.version(n.info.ID, keepalive), keepalive: keepalive}
	made := call{node: n.info.ID, session: n.session, epoch: c.epoch, slow: n.failures > 0, synced: to}

	if d != nil && len(d.held) == 0 && (c.mustSend(now, n, d) || !n.synced.known || n.synced.keepalive != keepalive) {
		return c.put(now, n, d, made), true
	}
	if !n.synced.known {
		return call{}, false
	}
	if n.current(&c.peers) {
		n.synced.seq = to.seq // what has changed is taken back or is the node itself
		return call{}, false
	}
	set, remove, ok := c.peers.since(n.synced.seq, n.info.ID, keepalive)
	if !ok || n.synced.keepalive != keepalive {
		n.synced = synced{} // too far behind: the full list goes with the next spec
		return c.next(now, n, d)
	}
	made.delta = &api.PeerDelta{From: n.synced.version, To: to.version, Set: set, Remove: remove}
	n.busy = true
	return made, true
}

// remind gives the call to a node that trusts something else than the director says, if one is to be made now. It renews
// its certificate in its own time, and says in its reports when it has.
func (c *core) remind(now time.Time, n *node) (call, bool) {
	want := c.spec.Trust
	if n.session == 0 || !n.fresh || n.busy || now.Before(n.retryAt) || want == "" || n.status.Trust == want {
		return call{}, false
	}
	if n.reminded.trust == want && now.Sub(n.reminded.at) < c.timing.Resend {
		return call{}, false
	}
	n.busy = true
	return call{node: n.info.ID, session: n.session, epoch: c.epoch, slow: n.failures > 0, trust: want}, true
}

// mustSend tells whether the node's newest order is not what it is to be, or has not been carried out for long.
func (c *core) mustSend(now time.Time, n *node, d *desired) bool {
	if n.sent.digest == "" {
		return n.applied != d.digest || n.doubt
	}
	if n.sent.digest != d.digest {
		return true
	}
	if script := n.status.Startup; script != "" && script != d.spec.Startup.Sum() && n.sent.startup != d.spec.Startup.Sum() {
		return true // the script that keeps it from working is another one now, or none
	}
	return n.applied != d.digest && n.status.Error == "" && now.Sub(n.sent.at) >= c.timing.Resend
}

// put makes the call with the whole spec and the full list of peers.
func (c *core) put(now time.Time, n *node, d *desired, made call) call {
	// Beginning with the time keeps the revisions of two managers apart.
	n.revision = max(n.revision+1, n.status.Applied+1, uint64(now.UnixMilli()))
	spec := c.fill(n, d.spec)
	spec.Revision = n.revision
	made.spec, made.digest, made.sum = &spec, d.digest, c.names.sum
	n.busy, n.sending, n.last, n.doubt = true, true, d.digest, n.doubt || d.digest != n.applied
	return made
}

// fill gives the spec with the names and the full list of peers for the node. The manager is not among them: agents know the way to
// their parent from the director, and a replaced manager changes no node's spec.
func (c *core) fill(n *node, spec api.NodeSpec) api.NodeSpec {
	spec.Overlay.Full = true
	spec.Overlay.Version = c.peers.version(n.info.ID, n.keepalive())
	spec.Overlay.Peers = c.peers.full(n.info.ID, n.keepalive())
	spec.Names = c.names.list
	return spec
}

// recognise compares what nodes report with what they are to be, for nodes of which nothing is known yet on
// their connection: one that is as it should be is not told again. It is true when it has found one.
func (c *core) recognise(wanted map[api.NodeID]*desired) bool {
	found := false
	for id, d := range wanted {
		n := c.nodes[id]
		if !n.fresh || n.applied != "" || n.sent.digest != "" || n.doubt || n.status.Fingerprint == "" {
			continue
		}
		to := synced{known: true, seq: c.peers.seq(), version: c.peers.version(id, n.keepalive()), keepalive: n.keepalive()}
		try := attempt{fingerprint: n.status.Fingerprint, digest: d.digest, version: to.version}
		if n.tried == try {
			continue
		}
		n.tried = try
		if sum, err := c.fill(n, d.spec).Fingerprint(); err == nil && sum == n.status.Fingerprint {
			n.applied, n.at, n.synced, found = d.digest, n.status.Applied, to, true
		}
	}
	return found
}
