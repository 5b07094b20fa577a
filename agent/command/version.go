package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"conpaas/client/api"
	"conpaas/client/daemon"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of the program and of the protocol it speaks",
		Example: "  cpsagent version",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "cpsagent %s (protocol %d)\n", daemon.Version, api.Protocol)
			return err
		},
	}
}
