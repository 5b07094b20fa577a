package join

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// What a node keeps in its state directory.
const (
	StateFile      = "join.json"   // State
	OverlayKeyFile = "overlay.key" // private key of WireGuard in base64, mode 0600
	StoreDir       = "tls"         // mtls.Store
)

// State is what a node remembers of its join. It stands in StateFile, which is written last: where it exists the node
// has joined.
type State struct {
	Deployment string         `json:"deployment"`
	Kind       string         `json:"kind" doc:"manager or agent"`
	Node       api.NodeID     `json:"node"`
	OverlayKey api.OverlayKey `json:"overlay_key" doc:"The public key that the director was told"`
	Answer     api.JoinAnswer `json:"answer"`
}

// OverlayKey gives the private overlay key that is kept in the state directory; at the first call it is made by newKey,
// which returns (private, public, error) as wg.NewKey does.
func OverlayKey(dir string, newKey func() (private, public string, err error)) (private string, err error) {
	path := filepath.Join(dir, OverlayKeyFile)
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the overlay key: %w", err)
	}
	if private, _, err = newKey(); err != nil {
		return "", fmt.Errorf("make the overlay key: %w", err)
	}
	if err := errors.Join(os.MkdirAll(dir, 0o700), wire.ReplaceFile(path, []byte(private))); err != nil {
		return "", fmt.Errorf("keep the overlay key: %w", err)
	}
	return private, nil
}

// stored gives what the node has remembered, nil where it has not joined. A directory of another node is refused: two
// machines must never share an identity.
func stored(dir string, b api.Bootstrap, key api.OverlayKey, s *mtls.Store) (*State, error) {
	path := filepath.Join(dir, StateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what the node remembers: %w", err)
	}
	var st State
	if err := json.Unmarshal(text, &st); err != nil {
		return nil, fmt.Errorf("read what the node remembers: %s: %w", path, err)
	}
	switch {
	case st.Node != b.Node || st.Deployment != b.Deployment || st.Kind != b.Kind:
		return nil, fmt.Errorf("%s belongs to %s %s of %s, but this machine is %s %s of %s: give it an empty state directory",
			dir, st.Kind, st.Node, st.Deployment, b.Kind, b.Node, b.Deployment)
	case st.OverlayKey != key:
		return nil, fmt.Errorf("%s: node %s joined with the overlay key %s and has %s now: put %s back", dir, st.Node, st.OverlayKey, key, OverlayKeyFile)
	case s.Leaf() == nil:
		return nil, fmt.Errorf("%s: node %s has joined, but its certificate is gone: put %s back or replace the node", dir, st.Node, StoreDir)
	}
	return &st, nil
}

func (st State) save(dir string) error {
	text, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("remember the join: %w", err)
	}
	if err := wire.ReplaceFile(filepath.Join(dir, StateFile), append(text, '\n')); err != nil {
		return fmt.Errorf("remember the join: %w", err)
	}
	return nil
}
