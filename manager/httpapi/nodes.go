package httpapi

import (
	"errors"
	"io"
	"math"
	"net/http"

	"conpaas/client/agent"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// defaultLines is how much of a log is given when the caller does not say.
const defaultLines = 100

// exec has the agent of the node run a command, and passes its output on as it comes.
func (s *server) exec(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	var in api.ExecRequest
	if err := wire.Decode(r, &in); err != nil {
		return err
	}
	client, epoch, err := s.worker.Agent(r.Context(), api.NodeID(path("node")))
	if err != nil {
		return err
	}
	lines := wire.NewLineWriter(w)
	for frame, err := range client.Exec(r.Context(), epoch, in) {
		if err != nil {
			return saidByAgent(r, path, err)
		}
		if err := lines.Write(frame); err != nil {
			return err
		}
	}
	return nil
}

// saidByAgent makes of the error of a call to an agent what the director may see.
func saidByAgent(r *http.Request, path func(string) string, err error) error {
	return wire.Passed(r.Context(), "the agent of node "+path("node"), err)
}

// nodeLog passes a log of the node on.
func (s *server) nodeLog(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	lines, follow := logRange(r)
	name := r.URL.Query().Get("name")
	if name == "" {
		name = agent.OwnLog
	}
	client, epoch, err := s.worker.Agent(r.Context(), api.NodeID(path("node")))
	if err != nil {
		return err
	}
	text, err := client.Log(r.Context(), epoch, name, lines, follow)
	if err != nil {
		return saidByAgent(r, path, err)
	}
	defer text.Close()
	return pass(w, text)
}

// log gives the manager's own log.
func (s *server) log(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	lines, follow := logRange(r)
	text, err := s.journal.Read(r.Context(), lines, follow)
	if err != nil {
		return err
	}
	defer text.Close()
	return pass(w, text)
}

func logQuery() []wire.Query {
	return []wire.Query{
		wire.QueryNumber("lines", 0, math.MaxInt32, "How many of the last; default 100"),
		wire.QueryFlag("follow", "Go on with what is added"),
	}
}

func logRange(r *http.Request) (lines int, follow bool) {
	return wire.Number(r, "lines", defaultLines), wire.Flag(r, "follow")
}

// pass sends text as it comes; the first flush tells the reader of a quiet log that there is one.
func pass(w http.ResponseWriter, text io.Reader) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	control := http.NewResponseController(w)
	if err := control.Flush(); err != nil {
		return err
	}
	buffer := make([]byte, 32<<10)
	for {
		n, err := text.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			if err := control.Flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
