package app

import (
	"context"
	"io"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/store"
)

// Families are what Figures gives the values of. Clouds are named as the configuration does; all other labels have values
// that this program knows.
func Families() []wire.Family {
	return []wire.Family{
		{Name: "conpaas_applications", Help: "Applications, by state.", Labels: []string{"state"}},
		{Name: "conpaas_nodes", Help: "Nodes that are not gone, by cloud and state.", Labels: []string{"cloud", "state"}},
		{Name: "conpaas_operations", Help: "Operations that are remembered, by kind and state; pending and running ones are open.", Labels: []string{"kind", "state"}},
		{Name: "conpaas_managers_connected", Help: "Managers that have a tunnel to the director."},
		{Name: "conpaas_spliced_connections", Help: "Connections of agents to their managers that the director carries."},
		{Name: "conpaas_relays", Help: "Relays that the director gives to applications, its own included, one per cloud that reaches it elsewhere."},
		{Name: "conpaas_ca_expiry_timestamp_seconds", Help: "End of the CA certificate that vouches for the director."},
		{Name: "conpaas_credit_balance", Help: "Credits that all ordinary users have together."},
		{Name: "conpaas_credit_machines", Help: "Machines that are paid for now, those of administrators too."},
		{Name: "conpaas_fence", Help: "Fence of this start of the director."},
	}
}

// Figures counts what there is in the installation now.
func (d *Director) Figures(ctx context.Context) ([][]wire.Figure, error) {
	var f store.Figures
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		f, err = r.Figures()
		return err
	})
	if err != nil {
		return nil, problem(err)
	}
	d.splices.mu.Lock()
	spliced := len(d.splices.nodes)
	d.splices.mu.Unlock()
	one := func(v float64) []wire.Figure { return []wire.Figure{{Value: v}} }
	return [][]wire.Figure{
		counts(f.Applications, 1), counts(f.Nodes, 2), counts(f.Operations, 2),
		one(float64(len(d.hub.Children()))), one(float64(spliced)), one(float64(len(d.relays.all()))),
		one(float64(d.trust.Load().serving.Certificate().NotAfter.Unix())),
		one(float64(f.Credit)), one(float64(f.Machines)), one(float64(d.store.Installation().Fence)),
	}, nil
}

// maxMetrics is how many bytes of a machine's metrics are passed on.
const maxMetrics = 1 << 20

// NodeMetrics gives the metrics of the manager or agent on a machine, whoever owns it, in Prometheus' text format. They are
// the machine's word. The caller closes it.
func (d *Director) NodeMetrics(ctx context.Context, id api.NodeID) (io.ReadCloser, error) {
	n, err := d.node(ctx, id)
	if err != nil {
		return nil, problem(err)
	}
	var v store.Application
	err = d.store.View(ctx, func(r *store.Read) (err error) {
		v, err = r.Application(n.Application)
		return err
	})
	if err != nil {
		return nil, problem(err)
	}
	client, err := d.managerOf(v)
	if err != nil {
		return nil, err
	}
	var text io.ReadCloser
	if w := d.worker(v.ID); w != nil && w.link.seen().node == id {
		text, err = client.Metrics(ctx, d.epoch(v))
	} else {
		text, err = client.NodeMetrics(ctx, d.epoch(v), id)
	}
	if err != nil {
		return nil, saidByManager(ctx, v, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(text, maxMetrics), text}, nil
}

// counts makes figures of counts whose first so many properties are labels.
func counts(list []store.Count, labels int) []wire.Figure {
	out := make([]wire.Figure, len(list))
	for i, c := range list {
		out[i] = wire.Figure{Labels: []string{c.First, c.Second}[:labels], Value: float64(c.Count)}
	}
	return out
}
