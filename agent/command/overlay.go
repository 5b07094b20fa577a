package command

import (
	"github.com/spf13/cobra"

	"conpaas/agent/app"
	"conpaas/vpn/wg"
)

func newOverlayCommand(g *global) *cobra.Command {
	var iface string
	var mtu int
	c := &cobra.Command{
		Use:   "overlay",
		Short: "Carry the datagrams of the overlay network where the kernel cannot",
		Long: `Carry the datagrams of the overlay network where the kernel has no WireGuard. The agent starts this by itself, as a
process of its own, so that a restart of the agent loses no datagram.`,
		Example: "  cpsagent overlay --interface cps0",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := g.Logger()
			if err != nil {
				return err
			}
			return wg.RunUserspace(c.Context(), log, iface, mtu)
		},
	}
	c.Flags().StringVar(&iface, "interface", app.DefaultInterface, "name of the network interface")
	c.Flags().IntVar(&mtu, "mtu", wg.DefaultMTU, "bytes of the largest packet inside the overlay")
	return c
}
