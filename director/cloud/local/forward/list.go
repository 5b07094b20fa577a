package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"conpaas/client/daemon"
)

// Files of a forwarder's directory.
const (
	listFile    = "ports.json" // what is to be published
	answerFile  = "state.json" // what is
	processFile = "process"    // how to find its process again
	logFile     = "log"
)

// Publication is a port of 127.0.0.1 that leads to a target in the other network.
type Publication struct {
	Port   uint16         `json:"port"`
	Owner  string         `json:"owner"` // for the one who wrote it, and for the log
	Target netip.AddrPort `json:"target"`
}

// list is what the process follows. The mark tells one list from another.
type list struct {
	Mark         string        `json:"mark"`
	Publications []Publication `json:"publications"`
}

// answer is what the process says of the list that it has taken.
type answer struct {
	Mark    string   `json:"mark"`
	Network uint64   `json:"network"` // inode of the namespace that it dials in
	Failed  Failures `json:"failed,omitempty"`
}

// Failures says why ports of 127.0.0.1 cannot be listened on.
type Failures map[uint16]syscall.Errno

// Read gives what was to be published by the directory of a forwarder; nothing where there is none.
func Read(dir string) ([]Publication, error) {
	var l list
	err := read(filepath.Join(dir, listFile), &l)
	return l.Publications, err
}

// read leaves the value as it is where there is no file.
func read(path string, value any) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, value)
	}
	if err != nil {
		return fmt.Errorf("read the published ports in %s (remove it, and machines get new ports): %w", path, err)
	}
	return nil
}

func write(path string, value any) error {
	text, err := json.Marshal(value)
	if err == nil {
		err = daemon.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the published ports: %w", err)
	}
	return nil
}
