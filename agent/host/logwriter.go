package host

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// maxLog is how large a log grows before it is put aside as <name>.log.1.
const maxLog = 10 << 20

// LogWriter writes a log of the agent's own, and rotates it. It is for use by several goroutines.
type LogWriter struct {
	logs *Logs
	name string

	mu   sync.Mutex
	file *os.File
	size int64
}

// Writer opens the log of that name for writing.
func (l *Logs) Writer(name string) (*LogWriter, error) {
	if !logName.MatchString(name) {
		return nil, fmt.Errorf("log %q: use 1 to 63 letters a-z, digits and '-'", name)
	}
	w := &LogWriter{logs: l, name: name + logSuffix}
	if err := w.open(); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *LogWriter) open() error {
	f, err := w.logs.tree.OpenFile(w.name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.size = f, info.Size()
	return nil
}

// Write adds to the log.
func (w *LogWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size > 0 && w.size+int64(len(p)) > maxLog {
		if err := w.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := w.file.Write(p)
	w.size += int64(n)
	return n, err
}

func (w *LogWriter) rotate() error {
	old := w.file
	if err := w.logs.tree.Rename(w.name, w.name+".1"); err != nil {
		return err
	}
	if err := w.open(); err != nil {
		return err
	}
	return old.Close()
}

// Close ends the writing.
func (w *LogWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.file.Close()
}
