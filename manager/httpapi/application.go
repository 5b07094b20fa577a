package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

type applicationInput struct {
	Fence       uint64 `header:"Conpaas-Fence"`
	Incarnation uint64 `header:"Conpaas-Incarnation"`
	Revision    uint64 `header:"Conpaas-Revision"`
	Body        api.ManagerSpec
}

// putApplication takes the spec. The guard has let the epoch through.
func (s *server) putApplication(ctx context.Context, in *applicationInput) (*struct{}, error) {
	epoch := api.Epoch{Fence: in.Fence, Incarnation: in.Incarnation, Revision: in.Revision}
	return nil, s.worker.Put(ctx, epoch, in.Body)
}

// stream sends the reports until the director leaves.
func (s *server) stream(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	lines := wire.NewLineWriter(w)
	for report := range s.worker.Reports(r.Context()) {
		if err := lines.Write(report); err != nil {
			return err
		}
	}
	return r.Context().Err()
}
