package command

import (
	"context"
	"fmt"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newOperationCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:     "operation",
		Aliases: []string{"op"},
		Short:   "Show, follow and cancel long work",
		Long: `Starting, stopping, scaling and deleting are operations: they go on at the director whether or
not somebody waits for them, and after a restart of the director.`,
	},
		newOperationListCommand(g), newOperationShowCommand(g), newOperationWatchCommand(g), newOperationCancelCommand(g),
	)
}

func newOperationListCommand(g *Global) *cobra.Command {
	var application string
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the operations",
		Example: `cps operation list --application shop`,
		Args:    words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			operations, err := c.Operations(ctx, application)
			if err != nil {
				return fmt.Errorf("list the operations: %w", err)
			}
			return g.show(operations, func() error { return operationTable(operations).Write(g.out) })
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVarP(&application, "application", "a", "", "only those of an `application`")
	register(cmd, "application", g.completeFlag(applicationNames))
	return cmd
}

func operationTable(operations []api.Operation) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "id"},
		{Name: "kind"},
		{Name: "application", Right: true},
		{Name: "service", Right: true},
		{Name: "state", Color: colorOf},
		{Name: "begun"},
		{Name: "progress"},
	}}
	for _, o := range operations {
		service, progress := "", o.Progress
		if o.Service != 0 {
			service = o.Service.String()
		}
		if o.Error != nil {
			progress = o.Error.Error()
		}
		t.Rows = append(t.Rows, []string{
			string(o.ID), string(o.Kind), o.Application.String(), service, string(o.State), at(o.Created), progress,
		})
	}
	return t
}

func newOperationShowCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "show OPERATION",
		Short:   "Show an operation and what it has done",
		Example: `cps operation show op7`,
		Args:    words("OPERATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			o, err := c.Operation(ctx, api.OperationID(args[0]))
			if err != nil {
				return fmt.Errorf("show operation %q: %w", args[0], err)
			}
			return g.show(o, func() error { return operationFields(o).Write(g.out) })
		}),
		ValidArgsFunction: g.complete(operationIDs),
	}
}

func operationFields(o api.Operation) ui.Fields {
	fields := ui.Fields{
		{Name: "Id", Value: string(o.ID)},
		{Name: "Kind", Value: string(o.Kind)},
		{Name: "Owner", Value: o.Owner},
		{Name: "Application", Value: o.Application.String()},
	}
	if o.Service != 0 {
		fields = append(fields, ui.Field{Name: "Service", Value: o.Service.String()})
	}
	fields = append(fields,
		ui.Field{Name: "State", Value: string(o.State), Color: colorOf(string(o.State))},
		ui.Field{Name: "Progress", Value: o.Progress},
		ui.Field{Name: "Begun", Value: at(o.Created)},
	)
	if o.Ended != nil {
		fields = append(fields, ui.Field{Name: "Ended", Value: at(*o.Ended)})
	}
	if o.Error != nil {
		fields = append(fields, ui.Field{Name: "Error", Value: o.Error.Error(), Color: ui.Bad})
	}
	for _, step := range o.Steps {
		fields = append(fields, ui.Field{Name: "Step", Value: at(step.Time) + "  " + step.Text})
	}
	return fields
}

func newOperationWatchCommand(g *Global) *cobra.Command {
	var wait waitOptions
	cmd := &cobra.Command{
		Use:     "watch OPERATION",
		Aliases: []string{"wait"},
		Short:   "Follow an operation to its end",
		Example: `cps operation watch op7 --timeout 10m`,
		Args:    words("OPERATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			op, err := c.Operation(ctx, api.OperationID(args[0]))
			return g.await(ctx, c, fmt.Sprintf("operation %q", args[0]), op, err, wait)
		}),
		ValidArgsFunction: g.complete(operationIDs),
	}
	wait.timeoutFlag(cmd)
	return cmd
}

func newOperationCancelCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "cancel OPERATION",
		Short:   "End an operation; what it has done so far stays",
		Example: `cps operation cancel op7`,
		Args:    words("OPERATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			o, err := c.CancelOperation(ctx, api.OperationID(args[0]))
			if err != nil {
				return fmt.Errorf("cancel operation %q: %w", args[0], err)
			}
			return g.say(o, "Operation %s is %s.", o.ID, o.State)
		}),
		ValidArgsFunction: g.complete(operationIDs),
	}
}
