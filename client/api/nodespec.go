package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// Fingerprint tells two NodeSpecs apart by what a node does with them: it is the hex SHA-256 of the spec with
// its peers in order of their ids, and without Names and Startup, of which the node's status tells, and Revision and
// Overlay.Version, which every manager counts anew.
// It fails only on a Config that is not JSON.
func (s NodeSpec) Fingerprint() (string, error) {
	s.Revision, s.Names, s.Startup = 0, nil, nil
	s.Overlay.Version = 0
	s.Overlay.Full = true
	s.Overlay.Peers = slices.SortedFunc(slices.Values(s.Overlay.Peers), func(a, b Peer) int { return cmp.Compare(a.Node, b.Node) })
	data, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("fingerprint of the spec of node %s: %w", s.Node, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
