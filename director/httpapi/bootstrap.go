package httpapi

import (
	"context"
	"net/http"
	"time"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// bootstrapRoutes are what machines call, and nothing else opens to them.
func (s *server) bootstrapRoutes() {
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: "/v1/join", ID: "join", Summary: "First call of a machine: its token and CSR for a certificate and all it needs to live"},
		public(), func(ctx context.Context, in *body[api.JoinRequest]) (*body[api.JoinAnswer], error) {
			return answer(s.director.Join(ctx, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: "/v1/renew", ID: "renew", Summary: "A new certificate for the identity of the one that calls"},
		renewal(), func(ctx context.Context, in *body[api.RenewRequest]) (*body[api.RenewAnswer], error) {
			caller := wire.CallerFrom(ctx)
			return answer(s.director.Renew(ctx, caller.Identity, caller.Serial, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: "/v1/parent", ID: "parent", Summary: "Where an agent finds the manager of its application now"},
		agentNode(), func(ctx context.Context, _ *struct{}) (*body[api.Parent], error) {
			return answer(s.director.Parent(ctx, wire.CallerFrom(ctx).Identity))
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/connect", ID: "connect", Summary: "Upgrade to the connection on which the director calls the manager"},
		managerNode(), func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
			return s.director.Connect(w, r, wire.CallerFrom(r.Context()).Identity)
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: api.SplicePath, ID: "splice", Summary: "Upgrade to a connection that the director carries to the manager of the agent's application, where no other way leads there"},
		agentNode(), func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
			return s.director.Splice(w, r, wire.CallerFrom(r.Context()).Identity)
		})
	for _, file := range []string{"manifest", "manifest.sig", "{arch}/{program}"} {
		s.api.Raw(wire.Route{Method: http.MethodGet, Path: "/download/code/{version}/" + file, ID: "download-" + map[string]string{"manifest": "manifest", "manifest.sig": "signature", "{arch}/{program}": "program"}[file], Summary: "Signed code of machines; ranges are served"},
			public(), func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
				name := path("version") + "/" + file
				if path("program") != "" {
					name = path("version") + "/" + path("arch") + "/" + path("program")
				}
				return s.download(w, r, name)
			})
	}
}

func (s *server) download(w http.ResponseWriter, r *http.Request, name string) error {
	f, err := s.director.Code().Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return api.Errorf(api.CodeNotFound, "no code %q here", name)
	}
	// A slow machine may take as long as it moves; a stopped one is cut by its own next write.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Minute)); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	return wire.ServeContent(w, r, info.ModTime(), f)
}
