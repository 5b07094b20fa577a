package command

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newNodeCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "node",
		Short: "Show machines, run commands on them, read their logs and consoles",
		Long: `A node is one machine of one application: its manager, or a machine of a service. Machines are
added and removed with cps service add-nodes and cps service remove-nodes.`,
	},
		newNodeListCommand(g), newNodeShowCommand(g), newNodeExecCommand(g), newNodeConsoleCommand(g), newNodeLogCommand(g),
	)
}

func newNodeListCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "list [APPLICATION]",
		Aliases: []string{"ls"},
		Short:   "List the machines of an application, or of all",
		Example: `cps node list shop
cps node list -o yaml`,
		Args: words("[APPLICATION]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			nodes, names, err := ofApplications(ctx, c, args, c.Nodes)
			if err != nil {
				return fmt.Errorf("list the nodes: %w", err)
			}
			return g.show(nodes, func() error { return nodeTable(nodes, names).Write(g.out) })
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
}

func nodeTable(nodes []api.Node, applications map[api.ApplicationID]string) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "application", Optional: true},
		{Name: "id"},
		{Name: "service", Right: true},
		{Name: "role"},
		{Name: "state", Color: colorOf},
		{Name: "cloud"},
		{Name: "machine"},
		{Name: "address"},
		{Name: "overlay"},
		{Name: "runtime", Optional: true},
		{Name: "data plane", Optional: true},
		{Name: "reason", Optional: true},
	}}
	for _, n := range nodes {
		t.Rows = append(t.Rows, []string{
			applications[n.Application], string(n.ID), serviceOf(n), string(n.Role), string(n.State), n.Cloud, n.Machine,
			n.Address, address(n.Overlay), n.Runtime, n.DataPlane, n.Reason,
		})
	}
	return t
}

// serviceOf is the id of the node's service; a manager has none.
func serviceOf(n api.Node) string {
	if n.Service == 0 {
		return ""
	}
	return n.Service.String()
}

func newNodeShowCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "show NODE",
		Short:   "Show a machine",
		Example: `cps node show n12`,
		Args:    words("NODE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			n, err := c.Node(ctx, api.NodeID(args[0]))
			if err != nil {
				return fmt.Errorf("show node %q: %w", args[0], err)
			}
			return g.show(n, func() error { return nodeFields(n).Write(g.out) })
		}),
		ValidArgsFunction: g.complete(nodeIDs),
	}
}

func nodeFields(n api.Node) ui.Fields {
	return ui.Fields{
		{Name: "Id", Value: string(n.ID)},
		{Name: "Application", Value: n.Application.String()},
		{Name: "Service", Value: serviceOf(n)},
		{Name: "Role", Value: string(n.Role)},
		{Name: "Roles now", Value: joined(n.Roles)},
		{Name: "State", Value: string(n.State), Color: colorOf(string(n.State))},
		{Name: "Reason", Value: n.Reason},
		{Name: "Since", Value: at(n.Since)},
		{Name: "Created", Value: at(n.Created)},
		{Name: "Cloud", Value: n.Cloud},
		{Name: "Machine", Value: n.Machine},
		{Name: "Runtime", Value: n.Runtime},
		{Name: "Address", Value: n.Address},
		{Name: "Overlay", Value: address(n.Overlay)},
		{Name: "Data plane", Value: n.DataPlane},
		{Name: "Attempt", Value: strconv.Itoa(n.Attempt)},
		{Name: "Version", Value: n.Version},
	}
}

func newNodeConsoleCommand(g *Global) *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:     "console NODE",
		Short:   "Show what a machine wrote to its console",
		Example: `cps node console n12`,
		Args:    words("NODE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			text, err := c.Console(ctx, api.NodeID(args[0]))
			return g.copyText(fmt.Sprintf("show the console of node %q", args[0]), text, err, raw)
		}),
		Annotations:       map[string]string{plainText: "true"},
		ValidArgsFunction: g.complete(nodeIDs),
	}
	rawFlag(cmd, &raw)
	return cmd
}

func newNodeLogCommand(g *Global) *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use:     "log NODE [FILE]",
		Aliases: []string{"get-log"},
		Short:   "Show a log of a machine: its agent's, or one of its programs'",
		Example: `cps node log n12
cps node log n12 nginx-access --follow`,
		Args: words("NODE", "[FILE]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if len(args) > 1 {
				o.query.Name = args[1]
			}
			return g.showLog(ctx, fmt.Sprintf("show the log of node %q", args[0]), func(ctx context.Context, q director.LogQuery) (io.ReadCloser, error) {
				return c.NodeLog(ctx, api.NodeID(args[0]), q)
			}, o)
		}),
		Annotations:       map[string]string{plainText: "true"},
		ValidArgsFunction: g.complete(nodeIDs, nodeLogs),
	}
	o.flags(cmd)
	o.followFlag(cmd)
	return cmd
}

// nodeLogs completes a log of the node before it, from what the types of services say of their roles.
func nodeLogs(ctx context.Context, c *director.Client, args []string) ([]cobra.Completion, error) {
	n, err := c.Node(ctx, api.NodeID(args[0]))
	if err != nil {
		return nil, err
	}
	var names []cobra.Completion
	s, err := c.Service(ctx, n.Application.String(), n.Service.String())
	row, _ := api.FindServiceKind(s.Type)
	for _, kind := range []api.LogKind{api.LogError, api.LogAccess} {
		for _, name := range row.LogNames(kind, append(n.Roles, n.Role)) {
			names = append(names, described(name, string(kind)))
		}
	}
	return names, err
}
