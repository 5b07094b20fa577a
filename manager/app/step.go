package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"conpaas/client/api"
)

// decision is what follows from what the core knows.
type decision struct {
	state State
	calls []call // to be made now; each outcome comes back by called
}

// step gives what is to be done and said now. It may be called at any time, and does nothing twice.
func (c *core) step(now time.Time) decision {
	if c.spec == nil {
		return decision{}
	}
	c.endGrace(now)
	plans := c.plan(now)
	wanted := desires(plans)
	c.name(plans)
	for c.recognise(wanted) {
		plans = c.plan(now)
		wanted = desires(plans)
		c.name(plans)
	}
	var out decision
	for _, n := range c.nodes {
		if made, ok := c.next(now, n, wanted[n.info.ID]); ok {
			out.calls = append(out.calls, made)
		} else if made, ok := c.rename(now, n); ok {
			out.calls = append(out.calls, made)
		} else if made, ok := c.remind(now, n); ok {
			out.calls = append(out.calls, made)
		}
	}
	// Machines with good connections first, then in a fixed order, so that runs can be repeated.
	slices.SortFunc(out.calls, func(a, b call) int { return cmp.Or(cmpBool(a.slow, b.slow), cmp.Compare(a.node, b.node)) })
	out.state = c.state(plans, wanted)
	return out
}

func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// state gives everything that the director is told.
func (c *core) state(plans []planned, wanted map[api.NodeID]*desired) State {
	revision := c.spec.Application.Revision
	s := State{
		Revision: revision, Settled: c.settled(plans, wanted), Plan: &api.NodePlan{Revision: revision},
		Services: make(map[api.ServiceID]api.ServiceStatus, len(plans)), Nodes: make(map[api.NodeID]api.NodeHealth, len(c.nodes)),
	}
	for _, p := range plans {
		sp := api.ServicePlan{Service: p.id, Wanted: p.plan.Wanted, Drain: p.plan.Drain, Delete: p.plan.Delete}
		status := api.ServiceStatus{Service: p.id, State: p.plan.State, Reason: p.plan.Reason, Endpoints: p.plan.Endpoints, Code: p.plan.Code, Commands: p.plan.Commands}
		if p.err != nil {
			sp = api.ServicePlan{Service: p.id, Wanted: p.in.Spec.Nodes}
			status = api.ServiceStatus{Service: p.id, State: api.StateError, Reason: p.err.Error()}
		}
		s.Plan.Services = append(s.Plan.Services, sp)
		if p.wanted {
			s.Services[p.id] = status
		}
	}
	for id, n := range c.nodes {
		if !isPeer(n.info) && n.session == 0 || c.grace && !n.seen {
			continue
		}
		s.Nodes[id] = c.health(n, wanted[id])
	}
	return s
}

// health is what the director is told of one node.
func (c *core) health(n *node, d *desired) api.NodeHealth {
	h := api.NodeHealth{Node: n.info.ID, Connected: n.session != 0, Status: n.status}
	switch {
	case n.session == 0 && !n.seen:
		h.Reason = "its agent has not connected to this manager since " + stamp(c.since)
	case n.session == 0:
		h.Reason = "its agent has been silent since " + stamp(n.silent)
	case !n.fresh && n.trouble != "":
		h.Reason = n.trouble
	case !n.fresh:
		h.Reason = "its agent is connected and has not reported yet"
	case d == nil:
		h.Reason = "there is no plan for it"
	case d.leaving:
		h.Reason = "it is being drained"
	case d.ready():
		h.Ready = true
	case len(d.held) > 0 && n.applied != d.digest:
		h.Reason = fmt.Sprintf("its change waits for %s", join(d.held))
	case n.trouble != "":
		h.Reason = "its agent does not take its spec: " + n.trouble
	case d.view.Trouble() != "":
		h.Reason = d.view.Trouble()
	default:
		h.Reason = "it is changing"
	}
	return h
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func join(ids []api.NodeID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	return strings.Join(names, ", ")
}

// settled tells whether everything in the spec is as wanted: each service runs, has exactly its machines, they are
// ready, they know each other, and nothing is left of what was removed. A dead machine that the director is
// already removing holds nothing up.
func (c *core) settled(plans []planned, wanted map[api.NodeID]*desired) bool {
	for _, p := range plans {
		if p.err != nil || !p.wanted || p.plan.State != api.StateRunning || len(p.plan.Drain)+len(p.plan.Delete) > 0 {
			return false
		}
		count := make(map[api.Role]int)
		for _, n := range p.in.Nodes {
			if !wanted[n.ID].ready() || !c.nodes[n.ID].current(&c.peers) || !c.resolves(c.nodes[n.ID]) {
				return false
			}
			count[n.Role]++
		}
		for role, want := range p.plan.Wanted {
			if count[role] != want {
				return false
			}
		}
	}
	for _, n := range c.nodes {
		if n.info.State == api.NodeDeleting {
			return false
		}
	}
	return true
}
