package command

import (
	"context"
	"fmt"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

// inherited gives the commands of cps service to the noun of one type, as in the original tools: there they
// know the services of that type and no others.
func (g *Global) inherited(kind api.ServiceType) []*cobra.Command {
	add := newServiceAddCommand(g)
	run := add.RunE
	add.Use = "add APPLICATION"
	add.Args = words("APPLICATION")
	add.RunE = func(cmd *cobra.Command, args []string) error { return run(cmd, []string{string(kind), args[0]}) }
	add.ValidArgsFunction = g.complete(applicationNames)
	add.Long = add.Short + ".\n\n" + settingsTable(kind)
	add.Example = fmt.Sprintf("cps %[1]s add shop\ncps %[1]s add shop --name front", kind)
	all := []*cobra.Command{add, newServiceListCommand(g, kind), newServiceTypesCommand(g)}
	for _, cmd := range []*cobra.Command{
		newServiceShowCommand(g), newServiceStartCommand(g), newServiceStopCommand(g), newServiceRenameCommand(g), newServiceRemoveCommand(g),
		newServiceAddNodesCommand(g), newServiceRemoveNodesCommand(g), newServiceNodesCommand(g), newServiceLogCommand(g),
	} {
		all = append(all, g.ofType(kind, cmd))
	}
	row, _ := api.FindServiceKind(kind)
	for _, cmd := range all[1:] {
		for _, other := range api.Catalogue() {
			cmd.Example = strings.ReplaceAll(cmd.Example, " "+string(other.Type), " "+string(kind))
		}
		cmd.Example = strings.NewReplacer("cps service ", "cps "+string(kind)+" ", " --node ", " --"+string(row.Roles[0].Role)+" ").Replace(cmd.Example)
	}
	return all
}

// ofType lets a command that begins with APPLICATION SERVICE refuse services of other types.
func (g *Global) ofType(kind api.ServiceType, cmd *cobra.Command) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := g.authorized(cmd.Context())
		if err != nil {
			return err
		}
		s, err := c.Service(cmd.Context(), args[0], args[1])
		if err != nil {
			return fmt.Errorf("%s: service %q of application %q: %w", name(cmd), args[1], args[0], err)
		}
		if s.Type != kind {
			return usagef("%s: service %q of application %q is of type %s, not %s", name(cmd), args[1], args[0], s.Type, kind)
		}
		return run(cmd, args)
	}
	cmd.ValidArgsFunction = g.complete(applicationNames, servicesOf(kind))
	return cmd
}

// servicesOf completes a service of one type of the application before it.
func servicesOf(kind api.ServiceType) completer {
	return func(ctx context.Context, c *director.Client, args []string) ([]cobra.Completion, error) {
		services, err := c.Services(ctx, args[0])
		var names []cobra.Completion
		for _, s := range services {
			if s.Type == kind {
				names = append(names, described(s.Name, string(s.State)))
			}
		}
		return names, err
	}
}
