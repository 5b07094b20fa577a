//go:build linux

package overlay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/join"
	"conpaas/vpn"
	"conpaas/vpn/relay"
	"conpaas/vpn/wg"
)

// RelayPort is the UDP port of a manager's relay.
const RelayPort = 51821

// RelayConfig is what the relay's process is told by its command line.
type RelayConfig struct {
	KeyDir string         // holds its private key, as join.OverlayKey keeps it
	Nodes  string         // file with the nodes that may use it, JSON list of relay.Node
	Listen netip.AddrPort // IPv4, UDP
}

func relayConfig(c Config) RelayConfig {
	return RelayConfig{
		KeyDir: filepath.Join(c.StateDir, "relay"), Nodes: filepath.Join(c.RunDir, "relay-nodes.json"),
		Listen: netip.AddrPortFrom(netip.IPv4Unspecified(), RelayPort),
	}
}

// relayEnd is the relay as the manager sees it.
type relayEnd struct {
	program *program
	config  RelayConfig
	group   string
	public  api.Relay
}

func newRelayEnd(c Config) (*relayEnd, error) {
	config := relayConfig(c)
	private, err := join.OverlayKey(config.KeyDir, wg.NewKey)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	public, err := wg.Public(private)
	if err != nil {
		return nil, fmt.Errorf("relay: %w; remove %s, and it makes a new key", err, config.KeyDir)
	}
	return &relayEnd{
		program: newProgram(c, "relay", "--keys", config.KeyDir, "--nodes", config.Nodes, "--listen", config.Listen.String()),
		config:  config, group: c.Application.String(),
		public: api.Relay{Name: "manager", Key: api.OverlayKey(public), Endpoint: netip.AddrPortFrom(c.Outside, RelayPort)},
	}, nil
}

// serve makes the relay forward for exactly these peers.
func (r *relayEnd) serve(peers []vpn.Peer) error {
	nodes := make([]relay.Node, len(peers))
	for i, p := range peers {
		nodes[i] = relay.Node{Key: p.Key, Group: r.group}
	}
	data, err := json.Marshal(nodes)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	if have, err := os.ReadFile(r.config.Nodes); err != nil || !bytes.Equal(have, data) {
		if err := daemon.WriteFile(r.config.Nodes, data, 0o600); err != nil {
			return fmt.Errorf("relay: %w", err)
		}
	}
	_, err = r.program.ensure()
	return err
}

// RunRelay is the body of `cpsmanager relay`: a relay that follows its file of nodes until ctx ends.
func RunRelay(ctx context.Context, log *slog.Logger, c RelayConfig) error {
	private, err := join.OverlayKey(c.KeyDir, wg.NewKey)
	if err != nil {
		return err
	}
	server, err := relay.New(relay.Config{Log: log, PrivateKey: private, Listen: c.Listen})
	if err != nil {
		return err
	}
	return server.RunFile(ctx, c.Nodes)
}
