package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"conpaas/client/director"
	"conpaas/client/ui"
)

const (
	knownLines  = 500      // of a log that are remembered, to find where it goes on after a break
	missedLines = 5000     // that are looked through for that
	lineBytes   = 64 << 10 // a longer line is taken for several
)

// openLog asks for a log.
type openLog func(context.Context, director.LogQuery) (io.ReadCloser, error)

// showLog shows a log. One that is followed goes on after a break with the line after the last one that was shown.
func (g *Global) showLog(ctx context.Context, what string, open openLog, o logOptions) error {
	text, err := open(ctx, o.query)
	if err != nil || !o.query.Follow {
		return g.copyText(what, text, err, o.raw)
	}
	shown := &tail{to: g.out.Text()}
	if o.raw {
		shown.to = g.out.Writer
	}
	retry := newRetry(func(err error) {
		fmt.Fprintln(g.err, ui.Clean(fmt.Sprintf("the log has broken off (%v); it goes on when it is back", err)))
	})
	for {
		if err == nil {
			err = shown.copy(text, retry.good)
			_ = text.Close()
		}
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return fmt.Errorf("%s: %w", what, refused.cause)
		}
		if err := retry.wait(ctx, err); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err = shown.catchUp(ctx, open, o.query); err == nil {
			again := o.query
			again.Lines = knownLines
			text, err = open(ctx, again)
		}
	}
}

// followLogs shows the logs of several machines as they come. After a break it goes on with the last line of each: their
// lines have no common order in which the place could be found again.
func (g *Global) followLogs(ctx context.Context, what string, open openLog, o logOptions) error {
	to := g.out.Text()
	if o.raw {
		to = g.out.Writer
	}
	retry := newRetry(func(err error) {
		fmt.Fprintln(g.err, ui.Clean(fmt.Sprintf("the log has broken off (%v); it goes on when it is back, lines may be missing", err)))
	})
	for query := o.query; ; query.Lines = 1 {
		text, err := open(ctx, query)
		if err == nil {
			err = eachLine(text, func(line string) error {
				retry.good()
				if _, err := io.WriteString(to, line); err != nil {
					return &refusedError{cause: err}
				}
				return nil
			})
			_ = text.Close()
		}
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return fmt.Errorf("%s: %w", what, refused.cause)
		}
		if err := retry.wait(ctx, err); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// tail writes the whole lines of a log that is read in several goes, and remembers the last ones.
type tail struct {
	to   io.Writer
	last []string // the newest last
	held []string // lines of a new go that may have been written before
	hold int      // so many lines of it are held until it is clear where it goes on
}

// refusedError is that a line cannot be written.
type refusedError struct{ cause error }

func (e *refusedError) Error() string { return e.cause.Error() }

// catchUp writes what has come to a log since it was last read, and prepares for another go that begins with the lines
// that are known then.
func (t *tail) catchUp(ctx context.Context, open openLog, q director.LogQuery) error {
	q.Lines, q.Follow = missedLines, false
	text, err := open(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = text.Close() }()
	var all []string
	if err := eachLine(text, func(line string) error { all = append(all, line); return nil }); err != nil {
		return err
	}
	for _, line := range unseen(t.last, all) {
		if err := t.write(line); err != nil {
			return err
		}
	}
	t.last = all[max(0, len(all)-knownLines):] // also what was never asked for, so that the next go begins with all of it
	t.held, t.hold = nil, len(t.last)
	return nil
}

// copy writes a text that begins with known lines, to its end.
func (t *tail) copy(text io.Reader, heard func()) error {
	return eachLine(text, func(line string) error {
		heard()
		if t.hold == 0 {
			return t.write(line)
		}
		if t.held = append(t.held, line); len(t.held) < t.hold && within(t.last, t.held) {
			return nil
		}
		held := unseen(t.last, t.held)
		t.held, t.hold = nil, 0
		for _, line := range held {
			if err := t.write(line); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tail) write(line string) error {
	if t.last = append(t.last, line); len(t.last) > 2*knownLines {
		t.last = slices.Clone(t.last[len(t.last)-knownLines:])
	}
	if _, err := io.WriteString(t.to, line); err != nil {
		return &refusedError{cause: err}
	}
	return nil
}

// eachLine reads to the end of a text. A last line that is not whole is left out: it comes again.
func eachLine(text io.Reader, take func(string) error) error {
	reader := bufio.NewReaderSize(text, lineBytes)
	for {
		line, err := reader.ReadSlice('\n')
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
		if err := take(string(line)); err != nil {
			return err
		}
	}
}

// unseen gives the lines behind the last known one: behind the first place where all that is known stands, or else the
// longest beginning that is the end of what is known. Where there is neither all of them are new.
func unseen(known, lines []string) []string {
	for end := len(known); end <= len(lines); end++ {
		if slices.Equal(lines[end-len(known):end], known) {
			return lines[end:]
		}
	}
	for end := min(len(known), len(lines)); end > 0; end-- {
		if slices.Equal(lines[:end], known[len(known)-end:]) {
			return lines[end:]
		}
	}
	return lines
}

// within tells whether some lines stand together in others.
func within(all, some []string) bool {
	return strings.Contains(strings.Join(all, ""), strings.Join(some, ""))
}
