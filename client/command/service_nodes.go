package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

// nodesOptions are the flags of add-nodes and remove-nodes: one per role of any service type.
type nodesOptions struct {
	wait   waitOptions
	counts map[api.Role]*int
	cloud  string
}

func newServiceAddNodesCommand(g *Global) *cobra.Command {
	var o nodesOptions
	cmd := &cobra.Command{
		Use:   "add-nodes APPLICATION SERVICE --ROLE N…",
		Short: "Add machines to a service, by role",
		Long:  "Add machines to a service. How many of which role is said by a flag with the role's name.\n\n" + rolesHelp(),
		Example: `cps service add-nodes shop helloworld --node 2
cps service add_nodes shop helloworld --node 1 --cloud ec2 --no-wait`,
		Args: words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			in, err := o.change(ctx, c, args)
			what := fmt.Sprintf("add nodes to service %q of application %q", args[1], args[0])
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			op, err := c.AddNodes(ctx, args[0], args[1], in)
			return g.await(ctx, c, what, op, err, o.wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
	o.flags(cmd)
	g.cloudFlag(cmd, &o.cloud, "where to add them")
	return cmd
}

func newServiceRemoveNodesCommand(g *Global) *cobra.Command {
	var o nodesOptions
	cmd := &cobra.Command{
		Use:   "remove-nodes APPLICATION SERVICE --ROLE N…",
		Short: "Remove machines from a service, by role",
		Long: "Remove machines from a service, the newest first. How many of which role is said by a flag with the\nrole's name.\n\n" +
			rolesHelp(),
		Example: `cps service remove-nodes shop helloworld --node 1`,
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			in, err := o.change(ctx, c, args)
			what := fmt.Sprintf("remove nodes from service %q of application %q", args[1], args[0])
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			op, err := c.RemoveNodes(ctx, args[0], args[1], in)
			return g.await(ctx, c, what, op, err, o.wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
	o.flags(cmd)
	return cmd
}

func (o *nodesOptions) flags(cmd *cobra.Command) {
	o.counts = map[api.Role]*int{}
	types := map[api.Role][]string{}
	for _, k := range api.Catalogue() {
		for _, r := range k.RoleNames() {
			types[r] = append(types[r], string(k.Type))
		}
	}
	for role, of := range types {
		o.counts[role] = cmd.Flags().Int(string(role), 0, fmt.Sprintf("how many `machines` of role %s (%s)", role, strings.Join(of, ", ")))
	}
	o.wait.flags(cmd)
}

// rolesHelp lists the roles of every type that this program knows.
func rolesHelp() string {
	var b strings.Builder
	b.WriteString("The roles of each type:\n")
	for _, k := range api.Catalogue() {
		fmt.Fprintf(&b, "\n  %s\n", k.Type)
		for _, r := range k.Roles {
			fmt.Fprintf(&b, "    --%s  %s\n", r.Role, r.Description)
		}
	}
	return b.String()
}

// change reads the flags, which must name roles of the service's own type.
func (o *nodesOptions) change(ctx context.Context, c *director.Client, args []string) (api.NodesChange, error) {
	in := api.NodesChange{Nodes: map[api.Role]int{}, Cloud: o.cloud}
	for role, count := range o.counts {
		if *count < 0 {
			return in, usagef("--%s %d: it must be 1 or more", role, *count)
		}
		if *count > 0 {
			in.Nodes[role] = *count
		}
	}
	service, err := c.Service(ctx, args[0], args[1])
	if err != nil {
		return in, err
	}
	kinds, err := c.ServiceTypes(ctx)
	if err != nil {
		return in, err
	}
	i := slices.IndexFunc(kinds, func(k api.ServiceKind) bool { return k.Type == service.Type })
	if i < 0 {
		return in, fmt.Errorf("the director does not know the type %q of the service any more", service.Type)
	}
	roles := "its roles are " + joined(kinds[i].RoleNames())
	for role := range in.Nodes {
		if _, ok := kinds[i].FindRole(role); !ok {
			return in, usagef("a service of type %s has no role %q; %s", service.Type, role, roles)
		}
	}
	if len(in.Nodes) == 0 {
		return in, usagef("say how many of which role, for example --%s 1; %s", kinds[i].Roles[0].Role, roles)
	}
	return in, nil
}

func newServiceNodesCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "nodes APPLICATION SERVICE",
		Aliases: []string{"list-nodes"},
		Short:   "List the machines of a service",
		Example: `cps service nodes shop helloworld`,
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			nodes, err := c.ServiceNodes(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("list the nodes of service %q of application %q: %w", args[1], args[0], err)
			}
			return g.show(nodes, func() error { return nodeTable(nodes, nil).Write(g.out) })
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
}
