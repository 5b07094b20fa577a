// Package journal is the manager's own log on disk: what its logger writes, bounded, and read by people while it grows.
//
// It knows files and lines. It knows nothing of what is logged or who reads it.
package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

const (
	fileMax   = 10 << 20 // bytes; then the file becomes the old one, of which there is one
	oldSuffix = ".1"
)

// Journal is a log file that is written by this process alone. Its methods may be called from several goroutines.
type Journal struct {
	path string

	mu    sync.Mutex
	file  *os.File
	size  int64
	turns int           // how often the file was replaced by a new one
	grown chan struct{} // closed at the next write or the end
	ended bool
}

// Open opens the log at path for appending; it and its directory are made where they are not there.
func Open(path string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	j := &Journal{path: path, grown: make(chan struct{})}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return j, nil
}

func (j *Journal) open() error {
	file, err := os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	j.file, j.size = file, info.Size()
	return nil
}

// Write appends one or more whole lines.
func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return 0, os.ErrClosed
	}
	if j.size > 0 && j.size+int64(len(p)) > fileMax {
		if err := j.turn(); err != nil {
			return 0, fmt.Errorf("rotate the log: %w", err)
		}
	}
	n, err := j.file.Write(p)
	j.size += int64(n)
	j.wake()
	return n, err
}

// turn begins a new file. Where that does not work the log goes on in the old one.
func (j *Journal) turn() error {
	if err := os.Rename(j.path, j.path+oldSuffix); err != nil {
		return err
	}
	old := j.file
	if err := j.open(); err != nil {
		return err
	}
	j.turns++
	return old.Close()
}

// wake is called with the lock held.
func (j *Journal) wake() {
	close(j.grown)
	j.grown = make(chan struct{})
}

// state gives how often the file was replaced, whether the journal is closed, and what is closed when there is more.
func (j *Journal) state() (turns int, ended bool, grown <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.turns, j.ended, j.grown
}

// Close ends the log, and with it all reading of it.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return nil
	}
	j.ended = true
	j.wake()
	return j.file.Close()
}
