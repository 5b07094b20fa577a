package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"conpaas/client/api"
)

// WriteEvent sends v at once as one server-sent event (HTML standard, 9.2) with JSON data. id is what a browser gives
// back as Last-Event-ID when it reconnects; "" sends none.
func WriteEvent(w http.ResponseWriter, id string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write stream: encode %T: %w", v, err)
	}
	if len(data) > lineMax {
		return api.Errorf(api.CodeTooLarge, "write stream: an event of %d bytes, at most %d are allowed", len(data), lineMax)
	}
	if strings.ContainsAny(id, "\r\n\x00") {
		return fmt.Errorf("write stream: event id %q has a line end", id)
	}
	var event bytes.Buffer
	if id != "" {
		event.WriteString("id: " + id + "\n")
	}
	event.WriteString("data: ")
	event.Write(data)
	event.WriteString("\n\n")
	return pushEvent(w, event.Bytes())
}

// WriteKeepAlive sends a comment, which readers skip: what lies between holds an idle stream open, and the first one
// shows a reader that the stream is up.
func WriteKeepAlive(w http.ResponseWriter) error { return pushEvent(w, []byte(":\n\n")) }

func pushEvent(w http.ResponseWriter, piece []byte) error {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	return push(w, http.NewResponseController(w), piece)
}

// Events reads the JSON data of server-sent events until the stream's end or the first error, which is the last thing
// yielded. A stream that ends within an event yields io.ErrUnexpectedEOF.
func Events[T any](r io.Reader) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		reader := bufio.NewReader(r)
		for {
			var v T
			data, err := readEvent(reader)
			if err == io.EOF {
				return
			}
			if err == nil {
				err = decodeLine(data, &v)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// readEvent gives the data of the next event that has any.
func readEvent(r *bufio.Reader) ([]byte, error) {
	var data []byte
	started := false
	for {
		line, err := readLine(r)
		if err == io.EOF && started {
			return nil, fmt.Errorf("read stream: it ends within an event: %w", io.ErrUnexpectedEOF)
		}
		if err != nil {
			return nil, err
		}
		if len(line) == 0 && started {
			return data, nil
		}
		part, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok {
			continue
		}
		if started {
			data = append(data, '\n')
		}
		started = true
		data = append(data, bytes.TrimPrefix(part, []byte(" "))...)
		if len(data) > lineMax {
			return nil, fmt.Errorf("read stream: an event is longer than %d bytes", lineMax)
		}
	}
}
