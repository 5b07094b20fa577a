package command

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"conpaas/agent/host"
	"conpaas/agent/services/page"
)

// newPageCommand is the stand-in for web servers on machines that are mere processes; nobody types it.
func newPageCommand(g *global) *cobra.Command {
	var file string
	var listen []string
	c := &cobra.Command{
		Use:    page.Name,
		Short:  "Serve one page, where machines have no network of their own",
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
			return page.Serve(c.Context(), h, file, addresses)
		},
	}
	c.Flags().StringVar(&file, "file", "", "the page, below the state directory")
	c.Flags().StringArrayVar(&listen, "listen", nil, "address:port, once or more")
	return c
}
