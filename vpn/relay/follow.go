//go:build linux

package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

const look = 500 * time.Millisecond // between two looks at the file of the nodes

// RunFile relays for the nodes that a file names, a JSON list of Node, until ctx ends, which is no error. Whoever writes
// the file replaces it as a whole; what stands in it counts within a second. While there is no file, or a damaged one,
// the relay serves whom it has served before.
func (s *Server) RunFile(ctx context.Context, path string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- s.Run(ctx) }()
	s.log.Info("relay begins", "listen", s.Addr(), "sockets", len(s.conns), "key", s.PublicKey())
	tick := time.NewTicker(look)
	defer tick.Stop()
	var have []byte
	for {
		data, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) || err == nil && bytes.Equal(data, have):
		case err != nil:
			s.log.Warn("the relay's file of nodes cannot be read", "err", err)
		default:
			have = data
			if count, err := s.take(data); err != nil {
				s.log.Error("the relay's file of nodes is wrong", "file", path, "err", err)
			} else {
				s.log.Info("relay serves", "nodes", count)
			}
		}
		select {
		case err := <-served:
			return err
		case <-tick.C:
		}
	}
}

// take makes the nodes of a file those that may use the relay.
func (s *Server) take(data []byte) (count int, err error) {
	var nodes []Node
	if err := json.Unmarshal(data, &nodes); err != nil {
		return 0, fmt.Errorf("read the list of nodes: %w", err)
	}
	return len(nodes), s.SetNodes(nodes)
}
