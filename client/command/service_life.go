package command

import (
	"context"
	"fmt"
	"io"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

func newServiceStartCommand(g *Global) *cobra.Command {
	return g.newServiceLifeCommand(cobra.Command{
		Use:     "start APPLICATION SERVICE",
		Short:   "Start a service, and its application's manager where needed",
		Example: `cps service start shop helloworld`,
	}, "start", (*director.Client).StartService)
}

func newServiceStopCommand(g *Global) *cobra.Command {
	return g.newServiceLifeCommand(cobra.Command{
		Use:     "stop APPLICATION SERVICE",
		Short:   "Stop a service: its machines go, everything else is kept",
		Example: `cps service stop shop helloworld --no-wait`,
	}, "stop", (*director.Client).StopService)
}

type serviceCall func(c *director.Client, ctx context.Context, application, service string) (api.Operation, error)

func (g *Global) newServiceLifeCommand(cmd cobra.Command, verb string, call serviceCall) *cobra.Command {
	var wait waitOptions
	cmd.Args = words("APPLICATION", "SERVICE")
	cmd.ValidArgsFunction = g.complete(applicationNames, serviceNames)
	cmd.RunE = g.run(func(ctx context.Context, c *director.Client, args []string) error {
		op, err := call(c, ctx, args[0], args[1])
		return g.await(ctx, c, fmt.Sprintf("%s service %q of application %q", verb, args[1], args[0]), op, err, wait)
	})
	wait.flags(&cmd)
	return &cmd
}

func newServiceRemoveCommand(g *Global) *cobra.Command {
	var wait waitOptions
	var yes bool
	cmd := &cobra.Command{
		Use:     "remove APPLICATION SERVICE",
		Aliases: []string{"delete"},
		Short:   "Remove a service with its machines and its data",
		Example: `cps service remove shop helloworld --yes`,
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("remove service %q of application %q", args[1], args[0])
			if err := g.confirm(ctx, yes, what, "Its machines and its data go with it."); err != nil {
				return err
			}
			op, err := c.RemoveService(ctx, args[0], args[1])
			return g.await(ctx, c, what, op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
	wait.flags(cmd)
	yesFlag(cmd, &yes)
	return cmd
}

func newServiceLogCommand(g *Global) *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use:     "log APPLICATION SERVICE",
		Aliases: []string{"get-log"},
		Short:   "Show the logs of a service",
		Long: `Show the logs of a service, machine after machine, each line with its machine: of the agents (what ConPaaS does there
and why it fails), or of the programs, where each line has the log's name, too. With -f all of them are followed at once,
those of machines that come later too, until you interrupt it: lines come as they are written.`,
		Example: `cps service log shop helloworld -n 50
cps service log shop php --kind error -f
cps service log shop php --kind access
cps service log shop php --kind error`,
		Args: words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("show the log of service %q of application %q", args[1], args[0])
			open := func(ctx context.Context, q director.LogQuery) (io.ReadCloser, error) {
				return c.ServiceLog(ctx, args[0], args[1], q)
			}
			if o.query.Follow {
				return g.followLogs(ctx, what, open, o)
			}
			text, err := open(ctx, o.query)
			return g.copyText(what, text, err, o.raw)
		}),
		Annotations:       map[string]string{plainText: "true"},
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
	o.flags(cmd)
	o.followFlag(cmd)
	kinds := []string{string(api.LogAgent), string(api.LogError), string(api.LogAccess)}
	cmd.Flags().StringVar((*string)(&o.query.Kind), "kind", string(api.LogAgent), "`which` logs: agent, error or access")
	register(cmd, "kind", cobra.FixedCompletions(kinds, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}
