package agent

import (
	"context"
	"iter"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Stream opens the agent's reports and gives them as they come, at least one each 10 s, so that a reader may take a
// longer silence for a dead agent; a report that is only a sign of life has neither Status nor Event. Every
// Status it gives is whole: what the agent sends after its first line, which is only what has changed, is put
// together by api.NodeStatus.Merge. The sequence ends with an error when the connection breaks or ctx ends; stopping early closes it.
func (c *Client) Stream(ctx context.Context, epoch api.Epoch) iter.Seq2[api.AgentReport, error] {
	return func(yield func(api.AgentReport, error) bool) {
		var known *api.NodeStatus
		for report, err := range wire.CallLines[api.AgentReport](ctx, c.wire, http.MethodGet, "/v1/stream", nil, wire.WithEpoch(epoch)) {
			if report.Status != nil {
				if known != nil {
					merged := known.Merge(*report.Status)
					report.Status = &merged
				}
				known = report.Status
			}
			if !yield(report, err) || err != nil {
				return
			}
		}
	}
}
