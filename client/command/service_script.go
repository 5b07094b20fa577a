package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

func newServiceScriptCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "script",
		Short: "Set, show and remove the script that new machines of a service run first",
		Long: `Set, show and remove the start-up script of a service. Every machine that is made later runs it once, as root, before it
begins its work. What it writes is in the machine's log "startup"; a machine where it fails says why and takes no requests.`,
	}, newServiceScriptSetCommand(g), newServiceScriptShowCommand(g), newServiceScriptRemoveCommand(g))
}

func newServiceScriptSetCommand(g *Global) *cobra.Command {
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "set APPLICATION SERVICE FILE",
		Short: "Give a service a start-up script",
		Long: `Give a service a start-up script, in place of the one that it has; - reads it from standard input. Its first line names
its interpreter (#!/usr/bin/python3, say), else it is a shell's. It gets the environment variables of the service, and MY_IP,
MY_ROLE, MY_NODE and SERVICE. Machines that work already do not run it; those where an earlier one has failed do.`,
		Example: `cps service script set shop php setup.sh
cps service script set shop php setup.sh --limit 30m`,
		Args: words("APPLICATION", "SERVICE", "FILE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("set the start-up script of service %q of application %q", args[1], args[0])
			text, err := g.readBounded(args[2], api.ScriptMax)
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			s, err := c.SetScript(ctx, args[0], args[1], api.ScriptChange{Script: api.Secret(text), Seconds: int(limit / time.Second)})
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return g.say(s, "Machines that are made from now on run it first; they may take %s for it.", time.Duration(s.Seconds)*time.Second)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
	cmd.Flags().DurationVar(&limit, "limit", api.ScriptSeconds*time.Second, "end it after this `time`, at most 6h; the machine has failed then")
	return cmd
}

func newServiceScriptShowCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "show APPLICATION SERVICE",
		Short:   "Show the start-up script of a service",
		Example: `cps service script show shop php`,
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			s, err := c.Script(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("show the start-up script of service %q of application %q: %w", args[1], args[0], err)
			}
			return g.show(s, func() error {
				_, err := io.WriteString(g.out.Text(), s.Script.Reveal())
				return err
			})
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
}

func newServiceScriptRemoveCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "remove APPLICATION SERVICE",
		Aliases: []string{"unset"},
		Short:   "Take the start-up script of a service away",
		Long:    `Take the start-up script of a service away. Where it runs now it is ended; machines where it has failed go on without it.`,
		Example: `cps service script remove shop php`,
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if err := c.RemoveScript(ctx, args[0], args[1]); err != nil {
				return fmt.Errorf("remove the start-up script of service %q of application %q: %w", args[1], args[0], err)
			}
			return g.say(struct{}{}, "Service %q has no start-up script any more.", args[1])
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
}

// readBounded reads a file, or standard input where its name is -.
func (g *Global) readBounded(name string, most int) ([]byte, error) {
	source := g.system.Stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usagef("%v", err)
		}
		defer func() { _ = file.Close() }()
		source = file
	}
	data, err := io.ReadAll(io.LimitReader(source, int64(most)+1))
	if err == nil && len(data) > most {
		err = usagef("%s has more than %d bytes", name, most)
	}
	return data, err
}
