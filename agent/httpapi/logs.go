package httpapi

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"conpaas/agent/host"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// defaultLines is how much of a log is given when the caller does not say.
const defaultLines = 100

type logsOutput struct {
	Body api.List[string]
}

func (s *server) listLogs(context.Context, *struct{}) (*logsOutput, error) {
	names, err := s.app.Host().Logs().Names()
	if err != nil {
		return nil, err
	}
	return &logsOutput{Body: api.List[string]{Items: names}}, nil
}

func (s *server) readLog(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	lines, follow := wire.Number(r, "lines", defaultLines), wire.Flag(r, "follow")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	logs := s.app.Host().Logs()
	if follow {
		return unknownLog(logs, logs.Follow(r.Context(), path("name"), lines, flusher{w: w, control: http.NewResponseController(w)}))
	}
	text, err := logs.Tail(path("name"), lines)
	if err != nil {
		return unknownLog(logs, err)
	}
	_, err = w.Write(text)
	return err
}

func unknownLog(logs *host.Logs, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names, _ := logs.Names() // at worst the text has none
	return api.Errorf(api.CodeNotFound, "this node has no such log: %v; there are: %s", err, strings.Join(names, ", "))
}

// flusher sends what is written at once; also nothing, so that the reader of a quiet log gets its answer.
type flusher struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.control.Flush()
}
