package service

import (
	"slices"

	"conpaas/client/api"
)

// Select divides the machines of a role into those that stay, oldest first, and those that go: the ones that
// the director already drains, and of the others the newest beyond count. The oldest machine never goes while
// count is positive.
func Select(nodes []Node, role api.Role, count int) (stay, leave []Node) {
	for _, n := range nodes {
		if n.Role != role {
			continue
		}
		if n.Draining() || len(stay) >= count {
			leave = append(leave, n)
		} else {
			stay = append(stay, n)
		}
	}
	return stay, leave
}

// Serving gives the machines that serve, for Plan.Serve; while none does all that have joined, since programs take a
// connection that fails better than a name that nobody knows.
func Serving(nodes []Node) []api.NodeID {
	var serve, joined []api.NodeID
	for _, n := range nodes {
		if n.Serving {
			serve = append(serve, n.ID)
		}
		if n.Joined() {
			joined = append(joined, n.ID)
		}
	}
	if len(serve) == 0 {
		return joined
	}
	return serve
}

// Sorted orders nodes from the oldest to the newest, in place.
func Sorted(nodes []Node) []Node {
	slices.SortFunc(nodes, func(a, b Node) int { return ByAge(a.ID, b.ID) })
	return nodes
}

// Remove puts the machines that leave into the plan with their drained configuration: into Delete when they are
// Gone, else into Drain.
func (p *Plan) Remove(in Input, leave []Node, drained func(Node) Config) {
	for _, n := range leave {
		c := drained(n)
		p.Nodes[n.ID] = c
		if in.Gone(n, c) {
			p.Delete = append(p.Delete, n.ID)
		} else {
			p.Drain = append(p.Drain, n.ID)
		}
	}
}
