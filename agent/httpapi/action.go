package httpapi

import (
	"errors"
	"net/http"

	"conpaas/agent/service"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// act has the half do an action, whose input and output are the bodies of request and answer.
func (s *server) act(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	params := map[string]string{}
	for name, values := range r.URL.Query() {
		params[name] = values[0]
	}
	out := wire.NewOutput(w)
	err := s.app.Perform(r.Context(), service.ActionCall{Action: path("action"), Params: params, In: r.Body, Out: out})
	if skipped, ok := errors.AsType[*service.Skipped](err); ok {
		w.Header().Set(api.HeaderSkipped, wire.OneLine(skipped.Reason))
		err = nil
	}
	if err != nil {
		return err
	}
	out.End()
	return nil
}
