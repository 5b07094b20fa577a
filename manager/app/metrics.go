package app

import (
	"context"

	"conpaas/client/wire"
)

// Families are what Figures gives the values of.
func Families() []wire.Family {
	return []wire.Family{
		{Name: "conpaas_manager_spec_revision", Help: "Revision of the newest spec of the application; 0: none."},
		{Name: "conpaas_manager_settled", Help: "1 while all nodes are what the newest spec says."},
		{Name: "conpaas_manager_nodes", Help: "Nodes that the director has told of, the manager's own not among them."},
		{Name: "conpaas_manager_agents_connected", Help: "Agents that have a tunnel to the manager."},
		{Name: "conpaas_manager_blobs_missing", Help: "Archives that the spec names and that have not come from the director."},
	}
}

// Figures gives the state of the application as the manager sees it in numbers.
func (w *Worker) Figures(ctx context.Context) ([][]wire.Figure, error) {
	nodes := 0
	if err := w.do(ctx, func() { nodes = len(w.core.nodes) }); err != nil {
		return nil, err
	}
	state, _, _ := w.board.read()
	settled := 0.0
	if state.Settled {
		settled = 1
	}
	one := func(v float64) []wire.Figure { return []wire.Figure{{Value: v}} }
	return [][]wire.Figure{
		one(float64(state.Revision)), one(settled), one(float64(nodes)), one(float64(len(w.hub.Children()))), one(float64(len(w.blobs.Lacks()))),
	}, nil
}

// Labels are those that all metrics of the manager carry.
func (w *Worker) Labels() map[string]string {
	return map[string]string{"application": w.cfg.Application.String(), "node": string(w.cfg.Node)}
}
