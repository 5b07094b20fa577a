package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"sync"
	"time"

	"conpaas/client/api"
)

const (
	lineMax   = 4 << 20          // bytes of one line or event of a stream
	writeTime = 30 * time.Second // a reader that takes nothing for so long has lost its stream
)

// Lines reads a stream of JSON lines (NDJSON) until its end or the first error, which is the last thing yielded. Empty
// lines are skipped; a line is at most 4 MiB. A stream that ends within a line yields io.ErrUnexpectedEOF.
func Lines[T any](r io.Reader) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		reader := bufio.NewReaderSize(r, streamBuffer)
		for {
			var v T
			line, err := readLine(reader)
			if err == io.EOF {
				return
			}
			if err == nil && len(line) == 0 {
				continue
			}
			if err == nil {
				err = decodeLine(line, &v)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// CallLines makes a call whose answer is a stream of JSON lines when the sequence is read, and closes it when the reading
// ends. Its errors are those of Stream and of Lines.
func CallLines[T any](ctx context.Context, c *Client, method, path string, in any, opts ...Option) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		body, err := Stream(ctx, c, method, path, in, opts...)
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		defer body.Close()
		Lines[T](body)(yield)
	}
}

func decodeLine(line []byte, v any) error {
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("read stream: line is no %T: %w", v, err)
	}
	return nil
}

// readLine gives the next line without its end. io.EOF comes alone: a line without an end is io.ErrUnexpectedEOF.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > lineMax+1 {
			return nil, fmt.Errorf("read stream: a line is longer than %d bytes", lineMax)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF && len(line) > 0:
			return nil, fmt.Errorf("read stream: it ends within a line: %w", io.ErrUnexpectedEOF)
		case err == io.EOF:
			return nil, io.EOF
		default:
			return nil, fmt.Errorf("read stream: %w", err)
		}
	}
}

// LineWriter writes a stream of JSON lines (NDJSON) that Lines reads. It may be used by several goroutines.
type LineWriter struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	control *http.ResponseController
}

// NewLineWriter makes a LineWriter over the answer w, whose content type it sets where there is none.
func NewLineWriter(w http.ResponseWriter) *LineWriter {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/x-ndjson")
	}
	return &LineWriter{w: w, control: http.NewResponseController(w)}
}

// Write sends v as one line at once. A reader that takes nothing for 30 s ends the stream with an error.
func (l *LineWriter) Write(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write stream: encode %T: %w", v, err)
	}
	if len(line) > lineMax {
		return api.Errorf(api.CodeTooLarge, "write stream: a line of %d bytes, at most %d are allowed", len(line), lineMax)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return push(l.w, l.control, append(line, '\n'))
}

// push writes and flushes one piece of a stream, with a deadline of its own. Between pieces there is none: under HTTP/2 a
// deadline that passes ends even a stream that is idle.
func push(w http.ResponseWriter, control *http.ResponseController, piece []byte) error {
	if err := control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("write stream: %w", err)
	}
	defer control.SetWriteDeadline(time.Time{})
	if _, err := w.Write(piece); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	if err := control.Flush(); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	return nil
}
