package httpapi

import (
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"time"

	"conpaas/client/api"
	"conpaas/client/manager"
	"conpaas/client/wire"
)

// What may be asked for at once.
const (
	maxLines = 100_000 // of a log
	maxPage  = 1000    // items of a list, as in Page
)

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
}

// logQuery is the query of a log.
func logQuery() []wire.Query {
	return []wire.Query{
		wire.QueryNumber("lines", 1, maxLines, "How many of the last lines; default 200"),
		wire.QueryFlag("follow", "Go on with the lines that come"),
	}
}

func logRange(r *http.Request) manager.LogRange {
	return manager.LogRange{Lines: wire.Number(r, "lines", 200), Follow: wire.Flag(r, "follow")}
}

// sendFrames sends the output of a command. An error before the first piece is the answer, a later one the last piece.
func sendFrames(w http.ResponseWriter, frames iter.Seq2[api.ExecFrame, error]) error {
	out := wire.NewLineWriter(w)
	begun := false
	for frame, err := range frames {
		switch {
		case err != nil && !begun:
			return err
		case err != nil:
			return out.Write(api.ExecFrame{Error: err.Error()})
		}
		begun = true
		if err := out.Write(frame); err != nil {
			return err
		}
	}
	return nil
}

// copyText sends text as it comes until it ends or the client leaves. Text that breaks off is an error, which cuts the
// answer, so that its reader does not take it for all there is.
func copyText(w http.ResponseWriter, text io.ReadCloser) error {
	defer text.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	out := http.NewResponseController(w)
	buffer := make([]byte, 32<<10)
	for {
		n, err := text.Read(buffer)
		if n > 0 {
			if err := out.SetWriteDeadline(time.Now().Add(30 * time.Second)); err != nil {
				return err
			}
			if _, err := w.Write(buffer[:n]); err != nil {
				return nil // the client has left
			}
			if err := out.Flush(); err != nil {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sendEvents sends the items as server-sent events; a nil item keeps the connection alive.
func sendEvents[T any](w http.ResponseWriter, items iter.Seq2[*T, error], id func(T) string) error {
	started := false
	for item, err := range items {
		if err != nil {
			if !started {
				return err
			}
			return nil
		}
		started = true
		if item == nil {
			err = wire.WriteKeepAlive(w)
		} else {
			err = wire.WriteEvent(w, id(*item), *item)
		}
		if err != nil {
			return nil // the client has left
		}
	}
	return nil
}
