package httpapi

import (
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

func (s *server) exec(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	var in api.ExecRequest
	if err := wire.Decode(r, &in); err != nil {
		return err
	}
	lines := wire.NewLineWriter(w)
	return s.app.Host().Exec(r.Context(), in, func(f api.ExecFrame) error { return lines.Write(f) })
}
