package command

import (
	"context"
	"fmt"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

func newGenericCommand(g *Global) *cobra.Command {
	all := append(g.inherited(api.Generic), g.codeCommands(api.Generic)...)
	kind, _ := api.FindServiceKind(api.Generic)
	for _, command := range kind.Commands {
		all = append(all, newGenericRunCommand(g, command))
	}
	all = append(all, newGenericStatusCommand(g), newConfigCommand(g, api.Generic, "a service", `cps generic config shop generic
cps generic config shop generic script_timeout=600`), newGenericCreateVolumeCommand(g), newGenericDeleteVolumeCommand(g), newGenericVolumesCommand(g))
	return group(&cobra.Command{
		Use:   string(api.Generic),
		Short: "Commands for services of type generic",
		Long: `A service of type generic runs scripts of its owner on a master and any number of nodes: init.sh when a version of the
code is enabled, notify.sh when the machines or variables of the service change, and run.sh, interrupt.sh and cleanup.sh by command.

The commands of cps service are here, too, for services of this type only.`,
	}, all...)
}

// newGenericRunCommand makes the command for a command of the type.
func newGenericRunCommand(g *Global, kind api.CommandKind) *cobra.Command {
	var parameters string
	var wait waitOptions
	cmd := &cobra.Command{
		Use:   kind.Name + " APPLICATION SERVICE",
		Short: kind.Help,
		Long: kind.Help + `.

It waits until every machine has begun; how it goes on is shown by cps generic status, and what scripts write by cps generic log --kind error.`,
		Example: fmt.Sprintf("cps generic %[1]s shop generic\ncps generic %[1]s shop generic --parameters \"10 fast\"", kind.Name),
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			op, err := c.Command(ctx, args[0], args[1], kind.Name, strings.Fields(parameters))
			return g.await(ctx, c, fmt.Sprintf("%s of service %q of application %q", kind.Name, args[1], args[0]), op, err, wait)
		}),
	}
	cmd.Flags().StringVarP(&parameters, "parameters", "p", "", "the `arguments` of the script, with blanks between them; everybody on its machine can see them")
	wait.flags(cmd)
	return g.ofType(api.Generic, cmd)
}
