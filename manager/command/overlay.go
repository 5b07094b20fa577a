package command

import (
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"conpaas/manager/overlay"
	"conpaas/vpn/wg"
)

func newOverlayCommand(g *global) *cobra.Command {
	var iface string
	var mtu int
	c := &cobra.Command{
		Use:   "overlay",
		Short: "Carry the datagrams of the overlay network where the kernel cannot",
		Long: `Carry the datagrams of the overlay network where the kernel has no WireGuard. The manager starts this by itself, as
a process of its own, so that a restart of the manager loses no datagram.`,
		Example: "  cpsmanager overlay --interface cps0",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := g.Logger()
			if err != nil {
				return err
			}
			return wg.RunUserspace(c.Context(), log, iface, mtu)
		},
	}
	c.Flags().StringVar(&iface, "interface", overlay.DefaultInterface, "name of the network interface")
	c.Flags().IntVar(&mtu, "mtu", wg.DefaultMTU, "bytes of the largest packet inside the overlay")
	return c
}

func newRelayCommand(g *global) *cobra.Command {
	var config overlay.RelayConfig
	var listen string
	c := &cobra.Command{
		Use:   "relay",
		Short: "Forward sealed datagrams between nodes of the application that do not reach each other",
		Long: `Forward sealed datagrams between nodes of the application that do not reach each other. The manager starts this by
itself, as a process of its own, and names the nodes in a file. The relay holds no key of theirs.`,
		Example: "  cpsmanager relay --keys /var/lib/conpaas/state/relay --nodes /run/conpaas/relay-nodes.json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := g.Logger()
			if err != nil {
				return err
			}
			if config.Listen, err = netip.ParseAddrPort(listen); err != nil {
				return fmt.Errorf("listen address %q: %w", listen, err)
			}
			return overlay.RunRelay(c.Context(), log, config)
		},
	}
	flags := c.Flags()
	flags.StringVar(&config.KeyDir, "keys", "", "directory of the relay's key, which is made at the first start")
	flags.StringVar(&config.Nodes, "nodes", "", "file that names the nodes")
	flags.StringVar(&listen, "listen", netip.AddrPortFrom(netip.IPv4Unspecified(), overlay.RelayPort).String(), "IPv4 address and UDP port")
	for _, name := range []string{"keys", "nodes"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // no such flag
		}
	}
	return c
}
