package command

import (
	"context"
	"fmt"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

func newServiceSecretCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "secret",
		Short: "Set and forget the secrets of a service's programs",
		Long: `Set and forget the secrets of a service's programs. A secret is an environment variable whose value is encrypted where
the director keeps it, and never shown again. cps service env list has the names.`,
	}, newServiceSecretSetCommand(g), newServiceEnvUnsetCommand(g, "secrets"))
}

func newServiceSecretSetCommand(g *Global) *cobra.Command {
	var wait waitOptions
	var file string
	cmd := &cobra.Command{
		Use:   "set APPLICATION SERVICE NAME",
		Short: "Set a secret of a service",
		Long: `Set a secret of a service. Its value is asked for, or read from a file or from standard input: never from the command
line, which others see. A line break at the end of the file is not part of it.`,
		Example: `cps service secret set shop php API_KEY
cps service secret set shop php API_KEY --file key.txt
cps service secret set shop php API_KEY --file -`,
		Args: words("APPLICATION", "SERVICE", "NAME"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			value, err := g.askSecret(ctx, "Value of "+args[2]+":", file)
			what := fmt.Sprintf("set secret %q of service %q of application %q", args[2], args[1], args[0])
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			op, err := c.ChangeEnvironment(ctx, args[0], args[1], api.EnvironmentChange{Secrets: map[string]api.Secret{args[2]: value}})
			return g.await(ctx, c, what, op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames, ownVariables),
	}
	cmd.Flags().StringVar(&file, "file", "", "read the value from a `file`, from standard input when it is -")
	wait.flags(cmd)
	return cmd
}

// askSecret asks for a secret, or reads it from a file.
func (g *Global) askSecret(ctx context.Context, question, file string) (api.Secret, error) {
	if file == "" {
		return g.askPassword(ctx, question, "", "file")
	}
	data, err := g.readBounded(file, 64<<10)
	for len(data) > 0 && (data[len(data)-1] == '\n' || data[len(data)-1] == '\r') {
		data = data[:len(data)-1]
	}
	if err == nil && len(data) == 0 {
		err = usagef("%s is empty", file)
	}
	return api.Secret(data), err
}
