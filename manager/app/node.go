package app

import (
	"time"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// node is what the manager knows of one machine beyond what the director says.
type node struct {
	info    api.NodeInfo
	session uint64    // number of its connection; 0: none
	seen    bool      // it has connected since the manager started
	silent  time.Time // since when nothing is known of it, where seen

	status  *api.NodeStatus // the last report, of whatever connection
	fresh   bool            // status is of this connection
	serving bool            // at the last report a role was ready
	tried   attempt         // the last comparison of the report with the plan, so that it is not made twice

	applied  string // Digest of the spec that it has applied; "" while unknown
	at       uint64 // revision of that spec
	sent     sent   // the last spec that it accepted on this connection
	sending  bool   // a spec is under way
	last     string // Digest of the spec that it was sent last, accepted or under way; "" while unknown
	doubt    bool   // it was, or may have been, sent another spec than applied, and has not said that it has applied it
	synced   synced // which peers it knows
	reminded reminder
	named    named
	nameless bool   // its agent is of a version without names
	busy     bool   // a call to it is under way
	revision uint64 // of the last spec that was sent

	failures int // calls in a row that went wrong
	retryAt  time.Time
	trouble  string // of the last call, "" when it went well
}

// attempt names one comparison of what a node reports with what it should be.
type attempt struct {
	fingerprint, digest string
	version             uint64
}

// sent is a NodeSpec that an agent has accepted.
type sent struct {
	digest   string
	startup  string // Sum of its script
	revision uint64
	at       time.Time
}

// reminder is what the node was told to trust on this connection.
type reminder struct {
	trust string
	at    time.Time
}

// synced is what an agent knows of the peers.
type synced struct {
	known     bool
	seq       uint64 // of the table
	version   uint64 // of the agent's list
	keepalive bool
}

// named is what the node was told to resolve on this connection.
type named struct {
	sum string
	at  time.Time
}

func (n *node) connect(now time.Time, session uint64) {
	if !n.seen {
		n.seen, n.silent = true, now
	}
	n.session, n.fresh, n.tried = session, false, attempt{}
	n.applied, n.sent, n.synced, n.busy, n.sending = "", sent{}, synced{}, false, false
	n.failures, n.retryAt, n.trouble, n.reminded = 0, time.Time{}, "", reminder{}
	n.named, n.nameless = named{}, false
}

func (n *node) disconnect(now time.Time) {
	if n.fresh {
		n.silent = now
	}
	n.session, n.fresh, n.busy = 0, false, false
}

func (n *node) report(status *api.NodeStatus) {
	n.status, n.fresh, n.serving = status, true, false
	for _, r := range status.Roles {
		n.serving = n.serving || r.State == api.RoleReady
	}
	n.confirm()
	if n.applied != "" && status.Applied != n.at { // it has accepted another spec, though the answer was lost
		n.applied, n.sent = "", sent{}
	}
}

// confirm notes that the spec which was sent is applied, if the agent says so. Revisions of specs are never used twice,
// not even by two managers, so equality is enough.
func (n *node) confirm() {
	if n.sent.digest != "" && n.fresh && n.status.Applied == n.sent.revision {
		n.applied, n.at, n.doubt = n.sent.digest, n.sent.revision, n.sending
	}
}

func (n *node) called(now time.Time, t Timing, done call, err error) {
	n.busy, n.sending = false, false
	switch code := api.CodeFrom(err); {
	case err == nil && done.trust != "":
		n.failures, n.trouble, n.reminded = 0, "", reminder{trust: done.trust, at: now}
	case done.names != nil && (err == nil || code == api.CodeNotFound):
		n.failures, n.trouble, n.nameless = 0, "", err != nil
		n.named = named{sum: done.sum, at: now}
	case err == nil:
		n.failures, n.trouble = 0, ""
		n.synced = done.synced
		if done.spec != nil {
			n.named = named{sum: done.sum, at: now}
			n.sent = sent{digest: done.digest, startup: done.spec.Startup.Sum(), revision: done.spec.Revision, at: now}
		}
	case done.delta != nil && code == api.CodeConflict:
		n.synced = synced{} // it gets the full list at once
	default:
		n.retryAt = now.Add(min(t.Retry<<min(n.failures, 16), t.RetryMax))
		n.failures++
		n.trouble = err.Error()
		if done.spec != nil {
			n.sent, n.last = sent{}, "" // nobody knows whether it has accepted it
		}
	}
	n.confirm() // the report may have come before the answer
}

// view gives the node as plans see it.
func (n *node) view(now time.Time, t Timing, grace bool) service.Node {
	v := service.Node{NodeInfo: n.info, Connected: n.session != 0 && n.fresh, Status: n.status, Sent: n.last, Current: n.status != nil && !n.doubt}
	if !n.doubt {
		v.Applied = n.applied
	}
	switch {
	case v.Connected:
		v.Serving = n.serving
	case n.seen && n.status != nil:
		v.Serving = n.serving && now.Sub(n.silent) < t.Brief
	default:
		v.Serving = grace && n.info.State == api.NodeReady
	}
	return v
}

// keepalive tells whether the node must hold its NAT open towards its peers: nobody knows where to reach it.
func (n *node) keepalive() bool { return !n.info.Endpoint.IsValid() }

// current tells whether the node knows the peers as they are in the table.
func (n *node) current(t *peerTable) bool {
	return n.synced.known && n.synced.keepalive == n.keepalive() && n.synced.version == t.version(n.info.ID, n.keepalive())
}
