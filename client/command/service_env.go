package command

import (
	"context"
	"fmt"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newServiceEnvCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "env",
		Short: "Show, set and forget the environment variables of a service's programs",
		Long: `Show, set and forget the environment variables of a service's programs. Those of the services that it is linked with
are there by themselves; one's own of the same name counts before them. What must not be seen is a secret: cps service secret.`,
	}, newServiceEnvListCommand(g), newServiceEnvSetCommand(g), newServiceEnvUnsetCommand(g, "variables"))
}

func newServiceEnvListCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "list APPLICATION SERVICE",
		Aliases: []string{"ls", "show"},
		Short:   "List the environment variables of a service, and where each is from",
		Example: `cps service env list shop php`,
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			env, err := c.Environment(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("list the variables of service %q of application %q: %w", args[1], args[0], err)
			}
			return g.show(env, func() error {
				t := ui.Table{Columns: []ui.Column{{Name: "name"}, {Name: "value"}, {Name: "from"}}}
				for _, v := range env.Variables {
					from := string(v.From)
					if v.Link != "" {
						from += " " + v.Link
					}
					t.Rows = append(t.Rows, []string{v.Name, v.Value, from})
				}
				return t.Write(g.out)
			})
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
}

func newServiceEnvSetCommand(g *Global) *cobra.Command {
	return g.environmentCommand(cobra.Command{
		Use:   "set APPLICATION SERVICE NAME=VALUE…",
		Short: "Set environment variables of a service",
		Example: `cps service env set shop php LEVEL=debug
cps service env set shop php "GREETING=Good morning" COLOUR=red`,
	}, "set variables", "NAME=VALUE", func(words []string) (in api.EnvironmentChange, err error) {
		in.Set, err = assignments("", words)
		return in, err
	})
}

// newServiceEnvUnsetCommand forgets variables and secrets alike; noun is what its group is about.
func newServiceEnvUnsetCommand(g *Global, noun string) *cobra.Command {
	of := map[string]string{"variables": "env", "secrets": "secret"}[noun]
	return g.environmentCommand(cobra.Command{
		Use:     "unset APPLICATION SERVICE NAME…",
		Aliases: []string{"remove"},
		Short:   "Forget " + noun + " of a service",
		Example: `cps service ` + of + ` unset shop php LEVEL`,
	}, "unset "+noun, "NAME", func(words []string) (api.EnvironmentChange, error) { return api.EnvironmentChange{Unset: words}, nil })
}

func newServiceLinkCommand(g *Global) *cobra.Command {
	return g.environmentCommand(cobra.Command{
		Use:   "link APPLICATION SERVICE TARGET…",
		Short: "Give a service the variables of chosen other services",
		Long: `Give a service the variables that others offer: where they are, and how to log in. A service without links of its
own has those of every service of its application that offers something; with links, those of the linked ones only. Of
several with one prefix the first has the plain names; each has its own names too, see: cps service env list`,
		Example: `cps service link shop php helloworld`,
	}, "link", "TARGET", func(words []string) (api.EnvironmentChange, error) { return api.EnvironmentChange{Link: words}, nil })
}

func newServiceUnlinkCommand(g *Global) *cobra.Command {
	return g.environmentCommand(cobra.Command{
		Use:     "unlink APPLICATION SERVICE TARGET…",
		Short:   "Take links of a service back",
		Example: `cps service unlink shop php helloworld`,
	}, "unlink", "TARGET", func(words []string) (api.EnvironmentChange, error) {
		return api.EnvironmentChange{Unlink: words}, nil
	})
}

// environmentCommand is one that takes APPLICATION, SERVICE and one or more words that make a change.
func (g *Global) environmentCommand(cmd cobra.Command, verb, word string, change func(words []string) (api.EnvironmentChange, error)) *cobra.Command {
	var wait waitOptions
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		return words("APPLICATION", "SERVICE", word)(cmd, args[:min(len(args), 3)])
	}
	cmd.RunE = g.run(func(ctx context.Context, c *director.Client, args []string) error {
		in, err := change(args[2:])
		if err != nil {
			return err
		}
		op, err := c.ChangeEnvironment(ctx, args[0], args[1], in)
		return g.await(ctx, c, fmt.Sprintf("%s of service %q of application %q", verb, args[1], args[0]), op, err, wait)
	})
	cmd.ValidArgsFunction = g.complete(applicationNames, serviceNames, map[string]completer{"TARGET": otherServices, "NAME": ownVariables, "NAME=VALUE": nothing}[word])
	wait.flags(&cmd)
	return &cmd
}

// otherServices completes a service of the application before it.
func otherServices(ctx context.Context, c *director.Client, args []string) ([]cobra.Completion, error) {
	return serviceNames(ctx, c, args[:1])
}

// ownVariables completes a variable or secret of the service before it.
func ownVariables(ctx context.Context, c *director.Client, args []string) (names []cobra.Completion, err error) {
	env, err := c.Environment(ctx, args[0], args[1])
	for _, v := range env.Variables {
		if v.From != api.FromLink {
			names = append(names, described(v.Name, string(v.From)))
		}
	}
	return names, err
}

func nothing(context.Context, *director.Client, []string) ([]cobra.Completion, error) {
	return nil, nil
}
