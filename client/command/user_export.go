package command

import (
	"context"
	"fmt"

	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newUserExportCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:   "export [USER]",
		Short: "Write what is known of oneself, or for an administrator of anyone, as JSON",
		Long: `Write the profile, the tokens without their text, every change of the credit, the applications and their history as one document:
JSON, or YAML with -o yaml.`,
		Example: `cps user export
cps user export alice -o yaml`,
		Args: words("[USER]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			ref := userArgument(args)
			export, err := c.ExportUser(ctx, ref)
			if err != nil {
				return fmt.Errorf("export user %q: %w", ref, err)
			}
			return g.show(export, func() error { return ui.WriteJSON(g.out, export) })
		}),
		ValidArgsFunction: g.complete(userNames),
	}
}
