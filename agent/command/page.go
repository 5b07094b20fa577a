package command

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"conpaas/agent/host"
	"conpaas/agent/services/helloworld"
)

// newPageCommand is the stand-in for nginx on machines that are mere processes; nobody types it.
func newPageCommand(g *global) *cobra.Command {
	var listen []string
	c := &cobra.Command{
		Use:    helloworld.PageCommand,
		Short:  "Serve the page of a helloworld service where there is no nginx",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			log, err := g.Logger()
			if err != nil {
				return err
			}
			addresses := make([]netip.AddrPort, len(listen))
			for i, text := range listen {
				if addresses[i], err = netip.ParseAddrPort(text); err != nil {
					return fmt.Errorf("listen address %q: %w", text, err)
				}
			}
			h, err := host.Open(host.Options{Root: g.Root, Log: log})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, h.Close()) }()
			return helloworld.ServePage(c.Context(), h, addresses)
		},
	}
	c.Flags().StringArrayVar(&listen, "listen", nil, "address:port, once or more")
	return c
}
