package app

import (
	"fmt"
	"slices"

	"conpaas/client/api"
	"conpaas/director/store"
)

// surge is how many machines of a service may exist beyond what its owner wants, while a change replaces some.
const surge = 1

// planSteps is what of a manager's plan is carried out.
type planSteps struct {
	reserve map[api.Role]int
	drain   []api.NodeID
	remove  []api.NodeID
}

// checkPlan decides what of a manager's plan for one service is carried out: only nodes of that service, no more
// machines than the spec and the surge, and machines are removed only when they are drained, dead or never
// joined. refusal says what was not followed. It is pure.
func checkPlan(service store.Service, nodes []store.Node, plan api.ServicePlan, health map[api.NodeID]api.NodeHealth) (steps planSteps, refusal string) {
	find := func(id api.NodeID) (store.Node, bool) {
		i := slices.IndexFunc(nodes, func(n store.Node) bool { return n.ID == id })
		if i < 0 {
			refusal = fmt.Sprintf("node %.80q is not of service %s", id, service.ID)
			return store.Node{}, false
		}
		return nodes[i], true
	}
	leaving := make(map[api.NodeID]bool)
	for _, id := range plan.Drain {
		n, ok := find(id)
		if !ok || leaving[id] {
			continue
		}
		leaving[id] = true
		switch n.State {
		case api.NodeJoined, api.NodeReady, api.NodeUnreachable:
			steps.drain = append(steps.drain, id)
		}
	}
	for _, id := range plan.Delete {
		n, ok := find(id)
		if !ok {
			continue
		}
		leaving[id] = true
		switch {
		case !acts(n):
		case neverJoined(n), n.State == api.NodeDraining && drained(health[id]):
			steps.remove = append(steps.remove, id)
		case n.State == api.NodeDraining:
			refusal = fmt.Sprintf("node %s is to be deleted and has not said that it is drained", id)
		default: // the drain is recorded first
			steps.drain = append(steps.drain, id)
		}
	}
	if service.Wanted != store.ServiceStarted {
		return steps, refusal
	}
	kind, _ := api.FindServiceKind(service.Type)
	for role, count := range plan.Wanted {
		if _, ok := kind.FindRole(role); !ok || count < 0 || count > mostNodes {
			return steps, fmt.Sprintf("service %s is to have %d machines of role %.80q", service.ID, count, role)
		}
	}
	have := make(map[api.Role]int)
	for _, n := range nodes {
		if acts(n) && n.State != api.NodeDraining && !leaving[n.ID] {
			have[n.Role]++
		}
	}
	allowed := surge
	for _, count := range service.Nodes {
		allowed += count
	}
	total := 0
	for role, count := range plan.Wanted {
		total += count
		if missing := count - have[role]; missing > 0 {
			if steps.reserve == nil {
				steps.reserve = make(map[api.Role]int)
			}
			steps.reserve[role] = missing
		}
	}
	if total > allowed {
		steps.reserve = nil
		refusal = fmt.Sprintf("service %s is to have %d machines and may have %d", service.ID, total, allowed)
	}
	return steps, refusal
}

// neverJoined tells whether a node cannot have had work.
func neverJoined(n store.Node) bool {
	switch n.State {
	case api.NodeWanted, api.NodeCreating, api.NodeBooting:
		return true
	}
	return false
}

// drained tells whether a node has said itself that nothing on it does anything any more.
func drained(h api.NodeHealth) bool {
	if h.Status == nil {
		return false
	}
	return !slices.ContainsFunc(h.Status.Roles, func(r api.RoleStatus) bool { return r.State != api.RoleDrained })
}
