package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newConfigCommand(g *global) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "The configuration"}
	c.AddCommand(
		&cobra.Command{
			Use:     "check",
			Short:   "Check the configuration",
			Example: "  cpsdirector config check --config /etc/cpsdirector/director.cfg",
			Args:    cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				checked, err := g.read()
				if err != nil {
					return err
				}
				for _, note := range checked.Notes {
					fmt.Fprintln(c.OutOrStdout(), "note:", note)
				}
				fmt.Fprintln(c.OutOrStdout(), "the configuration is right")
				return nil
			},
		},
		&cobra.Command{
			Use:     "show",
			Short:   "Show the configuration that is in force, defaults included, secrets masked",
			Example: "  cpsdirector config show",
			Args:    cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				checked, err := g.read()
				if err != nil {
					return err
				}
				fmt.Fprint(c.OutOrStdout(), checked.Show())
				return nil
			},
		},
	)
	return c
}
