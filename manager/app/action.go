package app

import (
	"context"
	"slices"
	"time"

	"conpaas/client/agent"
	"conpaas/client/api"
	"conpaas/manager/service"
)

// Choose gives the machine that is to do an action of a service now, a client for its agent, and the epoch that calls must carry.
func (w *Worker) Choose(ctx context.Context, id api.ServiceID, action string) (node api.NodeID, c *agent.Client, epoch api.Epoch, err error) {
	var refused error
	if err = w.do(ctx, func() { node, refused = w.core.choose(time.Now(), id, action) }); err == nil {
		err = refused
	}
	if err == nil {
		c, epoch, err = w.Agent(ctx, node)
	}
	return node, c, epoch, err
}

// choose asks the half of a service.
func (c *core) choose(now time.Time, id api.ServiceID, action string) (api.NodeID, error) {
	if c.spec == nil {
		return "", api.Errorf(api.CodeUnavailable, "the manager has not been told yet what it manages; try again")
	}
	i := slices.IndexFunc(c.spec.Application.Services, func(s api.ServiceSpec) bool { return s.ID == id })
	if i < 0 {
		return "", api.Errorf(api.CodeNotFound, "application %q runs no service %s", c.spec.Application.Name, id)
	}
	spec := c.spec.Application.Services[i]
	chooser, ok := c.halves[spec.Type].(service.Chooser)
	if !ok {
		return "", api.Errorf(api.CodeNotFound, "services of type %s have no actions", spec.Type)
	}
	in := service.Input{Spec: spec, Network: c.spec.Application.Network, Relays: c.relays()}
	for _, n := range c.nodes {
		if n.info.Service == id && admitted(n.info.State) {
			in.Nodes = append(in.Nodes, n.view(now, c.timing, c.grace))
		}
	}
	in.Nodes = service.Sorted(in.Nodes)
	node, err := chooser.Choose(in, action)
	if err == nil && !slices.ContainsFunc(in.Nodes, func(n service.Node) bool { return n.ID == node }) {
		err = api.Errorf(api.CodeInternal, "services of type %s have chosen %q, which is none of their machines", spec.Type, node)
	}
	return node, err
}
