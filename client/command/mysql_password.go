package command

import (
	"context"
	"crypto/rand"
	"fmt"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

func newMySQLPasswordCommand(g *Global) *cobra.Command {
	var file string
	var generate bool
	var wait waitOptions
	cmd := &cobra.Command{
		Use:   "set-password APPLICATION SERVICE",
		Short: "Give the database's user another password",
		Long: `Give the database's user for programs another password: 8 to 128 letters, digits and signs of ASCII, without
blanks, quotes and backslashes. It is asked for twice, or read from a file, or made. It cannot be shown again; services that are linked with
this one are told of it.`,
		Example: `cps mysql set-password shop mysql
cps mysql set-password shop mysql --generate
cps mysql set-password shop mysql --password-file ~/secret`,
		Args: words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("set the password of service %q of application %q", args[1], args[0])
			if generate && file != "" {
				return usagef("%s: --generate makes a password, --password-file reads one; pass one of them", what)
			}
			password := api.Secret(rand.Text())
			if !generate {
				var err error
				if password, err = g.newPassword(ctx, args[1], file); err != nil {
					return fmt.Errorf("%s: %w", what, err)
				}
			}
			op, err := c.SetSecret(ctx, args[0], args[1], "password", password)
			if err == nil && generate { // before it is waited for: it counts from now on
				if err := g.say(map[string]string{"password": password.Reveal()}, "Password: %s", password.Reveal()); err != nil {
					return err
				}
			}
			return g.await(ctx, c, what, op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
	cmd.Flags().StringVar(&file, "password-file", "", "read the password from a `file`, from standard input when it is -")
	cmd.Flags().BoolVar(&generate, "generate", false, "make a password and show it, once")
	wait.flags(cmd)
	return cmd
}
