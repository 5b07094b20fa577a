// Package relay is what the director knows of relays for sealed datagrams: its own, a process that outlives it, and the
// program of those that administrators run elsewhere.
//
// It knows sockets, keys and files of nodes. It knows nothing of the database, of clouds, or of who may use a relay.
package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"conpaas/client/daemon"
	"conpaas/vpn/wg"
)

// Files of a relay's directory.
const (
	keyFile   = "relay.key"     // private key of WireGuard, base64
	nodesFile = "nodes.json"    // who may use it
	stateFile = "relay.process" // how to find its process again
	placeFile = "relay.sockets" // where that process listens
	logFile   = "relay.log"
)

// Key gives the key of the relay that has this directory, both halves in base64. It is made at the first call.
func Key(dir string) (private, public string, err error) {
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if private, public, err = wg.NewKey(); err == nil {
			err = errors.Join(os.MkdirAll(dir, 0o700), daemon.WriteFile(path, []byte(private+"\n"), 0o600))
		}
		if err != nil {
			return "", "", fmt.Errorf("make the relay's key: %w", err)
		}
		return private, public, nil
	}
	if err != nil {
		return "", "", fmt.Errorf("read the relay's key: %w", err)
	}
	private = strings.TrimSpace(string(text))
	if public, err = wg.Public(private); err != nil {
		return "", "", fmt.Errorf("%s: %w; put it back, or remove it and the relay gets a new key", path, err)
	}
	return private, public, nil
}
