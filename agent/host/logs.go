package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"conpaas/client/daemon/proc"
)

// Logs are the log files of the machine's programs: <name>.log and, once it was rotated, <name>.log.1.
type Logs struct {
	tree *Tree
}

const (
	logSuffix = ".log"
	tailLimit = 1 << 20                // bytes of the past that are ever read
	tailLines = 10_000                 // lines of the past that are ever given
	followGap = 250 * time.Millisecond // between looks at a followed file
)

var logName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Names lists the logs in order.
func (l *Logs) Names() ([]string, error) {
	files, err := l.tree.Names(".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		if name, ok := strings.CutSuffix(f, logSuffix); ok && logName.MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Path is where a program writes the log of that name.
func (l *Logs) Path(name string) string { return l.tree.Path(name + logSuffix) }

// Bound keeps a log from growing that a program writes beside the one of its name: it is rotated as those are. It is to be called
// now and then.
func (l *Logs) Bound(name string) { proc.Rotate(l.Path(name)) }

// Make makes a log that a program of another user writes itself, beside the one of its name. One that is there stays.
func (l *Logs) Make(name string, owner User) error {
	w, err := l.Writer(name)
	if err != nil {
		return err
	}
	return errors.Join(w.file.Chown(owner.UID, owner.GID), w.Close())
}

// open refuses every name that is not one of Names, before it touches the disk.
func (l *Logs) open(name string) (*os.File, error) {
	if !logName.MatchString(name) {
		return nil, fmt.Errorf("log %q: %w", name, fs.ErrNotExist)
	}
	info, err := l.tree.root.Lstat(name + logSuffix)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist // a link or device that a role has put there
	}
	if err != nil {
		return nil, fmt.Errorf("log %q: %w", name, err)
	}
	return l.tree.OpenFile(name+logSuffix, os.O_RDONLY, 0)
}

// Tail gives the last lines of a log, at most 1 MiB of them. An unknown name is fs.ErrNotExist.
func (l *Logs) Tail(name string, lines int) ([]byte, error) {
	f, err := l.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, _, err := l.past(f, name, lines)
	return data, err
}

// past gives the last lines of f, from the rotated file too where f has too few, and where f ended.
func (l *Logs) past(f *os.File, name string, lines int) (data []byte, end int64, err error) {
	data, end, err = lastBytes(f, tailLimit)
	if err != nil {
		return nil, 0, fmt.Errorf("read log %s: %w", name, err)
	}
	lines = min(max(lines, 0), tailLines)
	if bytes.Count(data, []byte{'\n'}) < lines && len(data) < tailLimit {
		if older, err := l.tree.OpenFile(name+logSuffix+".1", os.O_RDONLY, 0); err == nil {
			before, _, err := lastBytes(older, tailLimit-int64(len(data)))
			if err = errors.Join(err, older.Close()); err != nil {
				return nil, 0, fmt.Errorf("read log %s: %w", name, err)
			}
			data = append(before, data...)
		}
	}
	return lastLines(data, lines), end, nil
}

func lastBytes(f *os.File, limit int64) ([]byte, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	end := info.Size()
	data := make([]byte, min(end, limit))
	n, err := f.ReadAt(data, end-int64(len(data)))
	if errors.Is(err, io.EOF) { // it was cut at this moment
		err = nil
	}
	return data[:n], end, err
}

// lastLines cuts data to its last n lines; an unfinished last line counts as one.
func lastLines(data []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	for i := len(data) - 2; i >= 0; i-- { // the last byte only ends the last line
		if data[i] == '\n' {
			if n--; n == 0 {
				return data[i+1:]
			}
		}
	}
	return data
}

// Follow writes the last lines of a log to w and then what is added to it, over rotations, until ctx ends or w
// refuses. An unknown name is fs.ErrNotExist.
func (l *Logs) Follow(ctx context.Context, name string, lines int, w io.Writer) error {
	f, err := l.open(name)
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	data, at, err := l.past(f, name, lines)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("follow log %s: %w", name, err)
	}
	ticker := time.NewTicker(followGap)
	defer ticker.Stop()
	for {
		if at, err = copyFrom(w, f, at); err != nil {
			return fmt.Errorf("follow log %s: %w", name, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if next := l.replaced(f, name); next != nil {
			_, err := copyFrom(w, f, at) // what came last before it was moved away
			f.Close()
			f, at = next, 0
			if err != nil {
				return fmt.Errorf("follow log %s: %w", name, err)
			}
		}
	}
}

// copyFrom writes what f has from offset at on and gives the new offset. A file that became shorter was cut
// and is read from its beginning.
func copyFrom(w io.Writer, f *os.File, at int64) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return at, err
	}
	if info.Size() < at {
		at = 0
	}
	n, err := io.Copy(w, io.NewSectionReader(f, at, info.Size()-at))
	return at + n, err
}

// replaced opens the log again when another file has taken f's name.
func (l *Logs) replaced(f *os.File, name string) *os.File {
	next, err := l.open(name)
	if err != nil {
		return nil // between the two steps of a rotation; the next look finds it
	}
	was, err1 := f.Stat()
	is, err2 := next.Stat()
	if err1 != nil || err2 != nil || os.SameFile(was, is) {
		next.Close()
		return nil
	}
	return next
}
