package app

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// planned is the plan for the machines of one service.
type planned struct {
	id     api.ServiceID
	wanted bool // the service is in the spec; the machines of others go
	in     service.Input
	plan   service.Plan
	err    error // why there is no plan; nothing is changed then
}

// desired is what one node is to be.
type desired struct {
	in      service.Input
	view    service.Node
	config  service.Config
	spec    api.NodeSpec // without revision and peers
	digest  string
	leaving bool
	held    []api.NodeID // nodes that must be ready first
}

// plan asks the half of every service for its next step, and lets go the machines of services that are not
// in the spec any more. The plans are in the order of the services' ids.
func (c *core) plan(now time.Time) []planned {
	groups := make(map[api.ServiceID][]service.Node)
	for _, n := range c.nodes {
		if admitted(n.info.State) {
			groups[n.info.Service] = append(groups[n.info.Service], n.view(now, c.timing, c.grace))
		}
	}
	relays := c.relays()
	input := func(s api.ServiceSpec) service.Input {
		nodes := service.Sorted(groups[s.ID])
		delete(groups, s.ID)
		return service.Input{Spec: s, Nodes: nodes, Network: c.spec.Application.Network, Relays: relays}
	}
	plans := make([]planned, 0, len(c.spec.Application.Services))
	for _, s := range c.spec.Application.Services {
		plans = append(plans, c.planService(input(s)))
	}
	for _, id := range slices.Collect(maps.Keys(groups)) {
		s := c.former[id]
		s.ID, s.Nodes = id, nil
		plans = append(plans, letGo(input(s)))
	}
	slices.SortFunc(plans, func(a, b planned) int { return int(a.id - b.id) })
	return plans
}

// relays gives all relays in order of preference: the manager's own first, which machines of other clouds reach at its
// public address where its cloud says that it has one.
func (c *core) relays() []api.Relay {
	var relays []api.Relay
	if c.relay != nil {
		own := *c.relay
		if c.spec.Public.IsValid() && c.spec.Public != own.Endpoint.Addr() {
			own.Cloud = c.spec.Cloud
			public := *c.relay
			public.Endpoint = netip.AddrPortFrom(c.spec.Public, own.Endpoint.Port())
			relays = append(relays, own, public)
		} else {
			relays = append(relays, own)
		}
	}
	return append(relays, c.spec.Relays...)
}

func (c *core) planService(in service.Input) planned {
	p := planned{id: in.Spec.ID, wanted: true, in: in}
	half, ok := c.halves[in.Spec.Type]
	if !ok {
		p.err = fmt.Errorf("this manager knows no services of type %q; replace it by one of the director's version", in.Spec.Type)
		return p
	}
	p.plan = half.Plan(in)
	if err := service.Check(in, p.plan); err != nil {
		p.err = fmt.Errorf("fault in the plans of services of type %s: %w", in.Spec.Type, err)
	}
	return p
}

// letGo plans the end of a service: its machines run nothing and go.
func letGo(in service.Input) planned {
	p := service.Plan{Wanted: map[api.Role]int{}, Nodes: make(map[api.NodeID]service.Config, len(in.Nodes))}
	p.Remove(in, in.Nodes, func(service.Node) service.Config { return service.Config{} })
	return planned{id: in.Spec.ID, in: in, plan: p}
}

// desires gives what each node is to be by the plans, and which nodes must wait for others.
func desires(plans []planned) map[api.NodeID]*desired {
	all := make(map[api.NodeID]*desired)
	for _, p := range plans {
		if p.err != nil {
			continue
		}
		for _, n := range p.in.Nodes {
			d := &desired{in: p.in, view: n, config: p.plan.Nodes[n.ID]}
			d.spec = p.in.NodeSpec(n, d.config)
			d.digest = service.Digest(d.spec)
			d.leaving = slices.Contains(p.plan.Drain, n.ID) || slices.Contains(p.plan.Delete, n.ID)
			all[n.ID] = d
		}
		for _, n := range p.in.Nodes {
			d := all[n.ID]
			d.held = slices.DeleteFunc(slices.Clone(d.config.After), func(before api.NodeID) bool { return all[before].ready() })
		}
	}
	return all
}

// ready tells whether the node does what it is to do.
func (d *desired) ready() bool { return d.in.Ready(d.view, d.config) }
