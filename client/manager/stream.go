package manager

import (
	"context"
	"iter"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Stream opens the manager's reports and gives them as they come: the first is a snapshot of everything (of an
// application of thousands of machines the first few are), later ones carry what has changed, and there is at least one
// each 10 s, so that a reader may take a longer silence for a dead manager. Every Status in it is whole. The sequence
// ends with an error when the connection breaks or ctx ends; stopping early closes it. Nodes and peers for which known
// is false are left out, so that a manager in wrong hands cannot fill the reader's memory; nil: it knows all.
func (c *Client) Stream(ctx context.Context, epoch api.Epoch, known func(api.NodeID) bool) iter.Seq2[api.ManagerReport, error] {
	return func(yield func(api.ManagerReport, error) bool) {
		m := merger{known: known}
		for report, err := range wire.CallLines[api.ManagerReport](ctx, c.wire, http.MethodGet, "/v1/stream", nil, wire.WithEpoch(epoch)) {
			m.merge(&report)
			if !yield(report, err) {
				return
			}
		}
	}
}
