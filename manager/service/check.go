package service

import (
	"fmt"
	"slices"

	"conpaas/client/api"
)

// Check tells what is wrong with a plan that a half has made, nil when nothing is. The manager does nothing
// that a wrong plan asks for.
func Check(in Input, p Plan) error {
	known := make(map[api.NodeID]Node, len(in.Nodes))
	for _, n := range in.Nodes {
		known[n.ID] = n
		if _, ok := p.Nodes[n.ID]; !ok {
			return fmt.Errorf("the plan says nothing of node %s", n.ID)
		}
	}
	for id, c := range p.Nodes {
		if _, ok := known[id]; !ok {
			return fmt.Errorf("the plan names node %s, which is not one of the service", id)
		}
		if Digest(in.NodeSpec(known[id], c)) == "" {
			return fmt.Errorf("a role's configuration for node %s is not JSON", id)
		}
		for _, before := range c.After {
			if _, ok := known[before]; !ok {
				return fmt.Errorf("node %s waits for %s, which is not one of the service", id, before)
			}
		}
	}
	for role, count := range p.Wanted {
		if count < 0 {
			return fmt.Errorf("the plan wants %d machines of role %s", count, role)
		}
	}
	for _, e := range p.Endpoints {
		if _, ok := known[e.Node]; !ok {
			return fmt.Errorf("endpoint %s is on node %s, which is not one of the service", e.Name, e.Node)
		}
	}
	for _, id := range p.Serve {
		if _, ok := known[id]; !ok {
			return fmt.Errorf("the service's name means node %s, which is not one of the service", id)
		}
	}
	if err := checkLeaving(in, p, known); err != nil {
		return err
	}
	return checkOrder(p)
}

func checkLeaving(in Input, p Plan, known map[api.NodeID]Node) error {
	seen := make(map[api.NodeID]bool)
	for _, id := range slices.Concat(p.Drain, p.Delete) {
		if _, ok := known[id]; !ok {
			return fmt.Errorf("the plan removes node %s, which is not one of the service", id)
		}
		if seen[id] {
			return fmt.Errorf("the plan removes node %s twice", id)
		}
		seen[id] = true
	}
	for _, id := range p.Delete {
		if !in.Gone(known[id], p.Nodes[id]) {
			return fmt.Errorf("the plan deletes node %s, which is not drained", id)
		}
	}
	return nil
}

// checkOrder refuses nodes that wait for each other: none of them would ever get its configuration.
func checkOrder(p Plan) error {
	const (
		entered = 1
		left    = 2
	)
	marks := make(map[api.NodeID]int, len(p.Nodes))
	var visit func(id api.NodeID) error
	visit = func(id api.NodeID) error {
		switch marks[id] {
		case entered:
			return fmt.Errorf("node %s waits for itself", id)
		case left:
			return nil
		}
		marks[id] = entered
		for _, before := range p.Nodes[id].After {
			if err := visit(before); err != nil {
				return err
			}
		}
		marks[id] = left
		return nil
	}
	for id := range p.Nodes {
		if err := visit(id); err != nil {
			return err
		}
	}
	return nil
}
