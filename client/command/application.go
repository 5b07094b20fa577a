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

func newApplicationCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:     "application",
		Aliases: []string{"app"},
		Short:   "Create, deploy, show, start, stop, share and delete applications",
		Long: `An application is a set of services with a private network of its own, managed by a machine of
its own. Starting it starts that manager; its services are started one by one.`,
	},
		newApplicationCreateCommand(g), newApplicationListCommand(g), newApplicationShowCommand(g),
		newApplicationStartCommand(g), newApplicationStopCommand(g), newApplicationRenameCommand(g),
		newApplicationDeleteCommand(g), newApplicationNetworkCommand(g), newApplicationEventsCommand(g),
		newApplicationLogCommand(g), newApplicationShareCommand(g), newApplicationUnshareCommand(g), newApplicationSharesCommand(g),
		newApplicationAuditCommand(g),
		newApplicationManifestCommand(g), newApplicationPlanCommand(g), newApplicationApplyCommand(g), newApplicationExportCommand(g),
	)
}

func newApplicationCreateCommand(g *Global) *cobra.Command {
	var in api.ApplicationCreate
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create an application",
		Example: `cps application create shop
cps application create shop --cloud ec2`,
		Args: words("NAME"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			in.Name = args[0]
			app, err := c.CreateApplication(ctx, in)
			if err != nil {
				return fmt.Errorf("create application %q: %w", in.Name, err)
			}
			return g.say(app, "Application %q has the id %s. Start it with: cps application start %s", app.Name, app.ID, app.ID)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	g.cloudFlag(cmd, &in.Cloud, "the cloud of its manager, and of machines for which none is named")
	return cmd
}

func newApplicationListCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the applications, those that others share too",
		Example: `cps application list
cps application list -o json`,
		Args: words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			apps, err := c.Applications(ctx)
			if err != nil {
				return fmt.Errorf("list the applications: %w", err)
			}
			return g.show(apps, func() error { return applicationTable(apps).Write(g.out) })
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func applicationTable(apps []api.Application) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "id", Right: true},
		{Name: "name"},
		{Name: "owner", Optional: true},
		{Name: "shared", Optional: true},
		{Name: "state", Color: colorOf},
		{Name: "manager"},
		{Name: "cloud"},
		{Name: "services", Right: true},
		{Name: "created"},
		{Name: "reason", Optional: true},
	}}
	for _, a := range apps {
		t.Rows = append(t.Rows, []string{
			a.ID.String(), a.Name, sharer(a), string(a.Shared), string(a.State), string(a.Manager), a.Cloud,
			strconv.Itoa(a.Services), at(a.Created), a.Reason,
		})
	}
	return t
}

func newApplicationShowCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "show APPLICATION",
		Aliases: []string{"get-info"},
		Short:   "Show an application and its services",
		Example: `cps application show shop
cps application show 3 -o yaml`,
		Args: words("APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			app, err := c.Application(ctx, args[0])
			if err != nil {
				return fmt.Errorf("show application %q: %w", args[0], err)
			}
			return g.show(app, func() error { return g.showApplication(ctx, c, app) })
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
}

func (g *Global) showApplication(ctx context.Context, c *director.Client, a api.Application) error {
	services, err := c.Services(ctx, a.ID.String())
	if err != nil {
		return fmt.Errorf("list the services of application %q: %w", a.Name, err)
	}
	fields := ui.Fields{
		{Name: "Name", Value: a.Name},
		{Name: "Id", Value: a.ID.String()},
		{Name: "State", Value: string(a.State), Color: colorOf(string(a.State))},
		{Name: "Reason", Value: a.Reason},
		{Name: "Since", Value: at(a.Since)},
		{Name: "Created", Value: at(a.Created)},
		{Name: "Owner", Value: a.Owner},
		{Name: "Shared", Value: string(a.Shared)},
		{Name: "Cloud", Value: a.Cloud},
		{Name: "Manager", Value: string(a.Manager)},
		{Name: "Network", Value: a.Network},
		{Name: "Revision", Value: strconv.FormatUint(a.Revision, 10)},
	}
	if err := fields.Write(g.out); err != nil || len(services) == 0 {
		return err
	}
	fmt.Fprintln(g.out)
	return serviceTable(services, nil).Write(g.out)
}

func newApplicationRenameCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "rename APPLICATION NAME",
		Short:   "Give an application another name",
		Example: `cps application rename shop old-shop`,
		Args:    words("APPLICATION", "NAME"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			app, err := c.RenameApplication(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("rename application %q: %w", args[0], err)
			}
			return g.say(app, "Application %s is now called %q.", app.ID, app.Name)
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
}

func newApplicationStartCommand(g *Global) *cobra.Command {
	var wait waitOptions
	cmd := &cobra.Command{
		Use:     "start APPLICATION",
		Short:   "Start an application's manager",
		Example: `cps application start shop --timeout 5m`,
		Args:    words("APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			op, err := c.StartApplication(ctx, args[0])
			return g.await(ctx, c, fmt.Sprintf("start application %q", args[0]), op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
	wait.flags(cmd)
	return cmd
}

func newApplicationStopCommand(g *Global) *cobra.Command {
	var wait waitOptions
	cmd := &cobra.Command{
		Use:     "stop APPLICATION",
		Short:   "Stop an application: all its machines go, everything else is kept",
		Example: `cps application stop shop`,
		Args:    words("APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			op, err := c.StopApplication(ctx, args[0])
			return g.await(ctx, c, fmt.Sprintf("stop application %q", args[0]), op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
	wait.flags(cmd)
	return cmd
}

func newApplicationDeleteCommand(g *Global) *cobra.Command {
	var wait waitOptions
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete APPLICATION",
		Short:   "Delete an application with its services and machines",
		Example: `cps application delete shop --yes`,
		Args:    words("APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("delete application %q", args[0])
			if err := g.confirm(ctx, yes, what, "Its services, their machines and their data go with it."); err != nil {
				return err
			}
			op, err := c.DeleteApplication(ctx, args[0])
			return g.await(ctx, c, what, op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
	wait.flags(cmd)
	yesFlag(cmd, &yes)
	return cmd
}

func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do not ask whether you are sure")
}

func newApplicationLogCommand(g *Global) *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use:     "log APPLICATION",
		Aliases: []string{"get-log"},
		Short:   "Show the log of an application's manager",
		Example: `cps application log shop --lines 100 --follow`,
		Args:    words("APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			return g.showLog(ctx, fmt.Sprintf("show the log of application %q", args[0]), func(ctx context.Context, q director.LogQuery) (io.ReadCloser, error) {
				return c.ApplicationLog(ctx, args[0], q)
			}, o)
		}),
		Annotations:       map[string]string{plainText: "true"},
		ValidArgsFunction: g.complete(applicationNames),
	}
	o.flags(cmd)
	o.followFlag(cmd)
	return cmd
}
