package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

type specInput struct {
	Body api.NodeSpec
}

type peersInput struct {
	Body api.PeerDelta
}

func (s *server) putSpec(ctx context.Context, in *specInput) (*struct{}, error) {
	return nil, s.app.PutSpec(ctx, s.app.Guard().Current(), in.Body)
}

func (s *server) patchPeers(_ context.Context, in *peersInput) (*struct{}, error) {
	return nil, s.app.PatchPeers(s.app.Guard().Current(), in.Body)
}

type namesInput struct {
	Body api.Names
}

func (s *server) putNames(_ context.Context, in *namesInput) (*struct{}, error) {
	return nil, s.app.PutNames(s.app.Guard().Current(), in.Body)
}

type trustInput struct {
	Body api.Trust
}

func (s *server) putTrust(_ context.Context, in *trustInput) (*struct{}, error) {
	s.app.WantTrust(in.Body.Trust)
	return nil, nil
}

func (s *server) stream(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	lines := wire.NewLineWriter(w)
	return s.app.Reports(r.Context(), func(report api.AgentReport) error { return lines.Write(report) })
}
