package command

import (
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"conpaas/agent/services/mysql"
)

// newMySQLCheckCommand is the program that tells HAProxy how a database server is; nobody types it.
func newMySQLCheckCommand() *cobra.Command {
	var listen, socket string
	c := &cobra.Command{
		Use:    mysql.CheckCommand,
		Short:  "Tell by HTTP whether the database server of this machine may be used",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			address, err := netip.ParseAddrPort(listen)
			if err != nil {
				return fmt.Errorf("listen address %q: %w", listen, err)
			}
			return mysql.ServeCheck(c.Context(), address, socket)
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "address:port")
	c.Flags().StringVar(&socket, "socket", "", "path of the server's socket")
	return c
}

// newMySQLServerCommand becomes the database server; nobody types it.
func newMySQLServerCommand(g *global) *cobra.Command {
	var l mysql.Launch
	var address string
	c := &cobra.Command{
		Use:    mysql.LaunchCommand,
		Short:  "Become the database server of this machine",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := g.Logger()
			if err != nil {
				return err
			}
			if l.Address, err = netip.ParseAddr(address); err != nil {
				return fmt.Errorf("--address: %w", err)
			}
			return l.Begin(c.Context(), log)
		},
	}
	c.Flags().StringVar(&l.Program, "program", "", "path of mariadbd")
	c.Flags().StringVar(&l.Config, "config", "", "path of its configuration")
	c.Flags().StringVar(&l.Data, "data", "", "its data directory")
	c.Flags().StringVar(&l.Run, "run", "", "directory of its marks")
	c.Flags().StringVar(&l.Reserve, "reserve", "", "path of the file that keeps room for its start")
	c.Flags().StringVar(&address, "address", "", "where it listens")
	c.Flags().StringVar(&l.Members, "members", "", "addresses of the cluster's machines in its configuration, with commas between them")
	return c
}
