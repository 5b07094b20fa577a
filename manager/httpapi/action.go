package httpapi

import (
	"io"
	"net/http"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// act has the chosen machine do an action, and passes input and output on as they come.
func (s *server) act(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	id, err := strconv.ParseInt(path("service"), 10, 64)
	if err != nil {
		return api.Errorf(api.CodeNotFound, "there is no service %.40q", path("service"))
	}
	node, client, epoch, err := s.worker.Choose(r.Context(), api.ServiceID(id), path("action"))
	if err != nil {
		return err
	}
	who := "the agent of node " + string(node)
	in := io.Reader(r.Body)
	if r.ContentLength == 0 {
		in = nil // the end of a body would have to be read before the agent notices that its caller leaves
	}
	answer, err := client.Act(r.Context(), epoch, path("action"), r.URL.Query(), in)
	if err != nil {
		return wire.Passed(r.Context(), who, err)
	}
	defer answer.Close()
	if reason := answer.Header.Get(api.HeaderSkipped); reason != "" {
		w.Header().Set(api.HeaderSkipped, wire.OneLine(reason))
	}
	out := &output{to: wire.NewOutput(w)}
	_, err = io.Copy(out, answer)
	switch {
	case out.err != nil:
		return out.err
	case err != nil:
		return wire.Passed(r.Context(), who, err)
	}
	out.to.End()
	return nil
}

// output remembers whose fault the end of a copy is.
type output struct {
	to  *wire.Output
	err error
}

func (o *output) Write(p []byte) (n int, err error) {
	n, o.err = o.to.Write(p)
	return n, o.err
}
