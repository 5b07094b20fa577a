package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	linesMax = 10_000
	pastMax  = 1 << 20 // bytes of the past that are read
)

// Read gives the last lines as text (at most 10 000, and 1 MiB), and with follow what is written after them until ctx ends or
// the journal is closed. The caller closes it; it is for one goroutine.
func (j *Journal) Read(ctx context.Context, lines int, follow bool) (io.ReadCloser, error) {
	j.mu.Lock() // so that the file is not replaced while it is looked at
	defer j.mu.Unlock()
	file, err := os.Open(j.path)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	past, end, err := j.past(file, min(max(lines, 0), linesMax))
	if err == nil {
		_, err = file.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the log: %w", err), file.Close())
	}
	return &reader{done: ctx.Done(), journal: j, follow: follow, past: past, file: file, turns: j.turns}, nil
}

// past gives the last lines, from the old file too where the current one has too few, and where they end.
func (j *Journal) past(file *os.File, lines int) (text []byte, end int64, err error) {
	text, end, err = tail(file, pastMax)
	if err != nil {
		return nil, 0, err
	}
	if bytes.Count(text, []byte{'\n'}) < lines && len(text) < pastMax {
		old, err := os.Open(j.path + oldSuffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, err
		}
		if err == nil {
			before, _, err := tail(old, pastMax-int64(len(text)))
			if err = errors.Join(err, old.Close()); err != nil {
				return nil, 0, err
			}
			text = append(before, text...)
		}
	}
	return lastLines(text, lines), end, nil
}

// tail gives the last bytes of a file and its length.
func tail(file *os.File, most int64) ([]byte, int64, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	text := make([]byte, min(info.Size(), most))
	n, err := file.ReadAt(text, info.Size()-int64(len(text)))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return text[:n], info.Size(), err
}

func lastLines(text []byte, n int) []byte {
	if n == 0 {
		return nil
	}
	for i := len(text) - 2; i >= 0; i-- { // the last byte ends the last line
		if text[i] == '\n' {
			if n--; n == 0 {
				return text[i+1:]
			}
		}
	}
	return text
}

// reader gives the past and then, if wanted, what comes.
type reader struct {
	done    <-chan struct{} // closed when nobody wants to read any more
	journal *Journal
	follow  bool
	past    []byte
	file    *os.File
	turns   int
}

func (r *reader) Read(p []byte) (int, error) {
	if len(r.past) > 0 {
		n := copy(p, r.past)
		r.past = r.past[n:]
		return n, nil
	}
	for r.follow {
		turns, ended, grown := r.journal.state()
		n, err := r.file.Read(p)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		if turns != r.turns { // the file was read to its end after it was replaced
			if err := r.next(turns); err != nil {
				return 0, err
			}
			continue
		}
		if ended {
			return 0, io.EOF
		}
		select {
		case <-grown:
		case <-r.done:
			return 0, io.EOF
		}
	}
	return 0, io.EOF
}

// next goes on with the current file. Of two replacements since the last look one file is lost: 10 MiB were
// written in a moment.
func (r *reader) next(turns int) error {
	file, err := os.Open(r.journal.path)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	old := r.file
	r.file, r.turns = file, turns
	return old.Close()
}

func (r *reader) Close() error { return r.file.Close() }
