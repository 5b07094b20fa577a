package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// relayRoutes are for the relays that administrators run on machines of their own.
func (s *server) relayRoutes() {
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: api.RelayKeyPath, ID: "relay-key", Summary: "The director's key, to which relays prove that theirs is their own"},
		public(), func(context.Context, *struct{}) (*body[api.RelayKey], error) {
			return &body[api.RelayKey]{Body: s.director.RelayKey()}, nil
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: api.RelayNodesPath, ID: "relay-nodes", Summary: "The keys of the nodes that may use a relay of the installation, as they change"},
		relayMachine(), func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
			lines := wire.NewLineWriter(w)
			return s.director.RelayNodes(r.Context(), func(u api.RelayUpdate) error { return lines.Write(u) })
		})
}
