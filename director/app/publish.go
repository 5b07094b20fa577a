package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/store"
)

// mostPorts bounds the ports of one machine that are published, whatever a manager reports.
const mostPorts = 8

// publish asks for endpoints to be made reachable for people, where the cloud has something to do for that. It waits for no
// cloud: machines that join meanwhile need the rounds.
func (w *worker) publish(s *snapshot, endpoints []api.Endpoint, next *deadline) {
	for _, e := range endpoints {
		i := slices.IndexFunc(s.nodes, func(n store.Node) bool { return n.ID == e.Node })
		if i < 0 || s.nodes[i].Machine == "" || s.nodes[i].Published[e.Port] != "" || len(s.nodes[i].Published) >= mostPorts {
			continue
		}
		w.calls.do(s.nodes[i], next, func(ctx context.Context, p *place, n store.Node) error {
			return w.calls.publish(ctx, p, n, e.Port)
		})
	}
}

// publish makes a port of a machine reachable and records where.
func (c *calls) publish(ctx context.Context, p *place, n store.Node, port uint16) error {
	address, err := reach(ctx, p, n, port)
	if err != nil {
		return err
	}
	published := map[uint16]string{port: address}
	maps.Copy(published, n.Published)
	err = c.w.d.store.Update(ctx, "node.published", func(tx *store.Tx) error {
		_, err := tx.UpdateNode(n.ID, store.NodeChange{Published: published})
		return err
	})
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// reach gives host:port at which people reach a port of a machine.
func reach(ctx context.Context, p *place, n store.Node, port uint16) (address string, err error) {
	publisher, ok := p.provider.(cloud.Publisher)
	if !ok {
		host := n.Public
		if !host.IsValid() {
			host = n.Address
		}
		return host.String() + ":" + strconv.Itoa(int(port)), nil
	}
	err = p.call(ctx, func(ctx context.Context) error {
		addresses, err := publisher.Publish(ctx, cloud.MachineID(n.Machine), []uint16{port})
		address = addresses[port]
		return err
	})
	return address, err
}
