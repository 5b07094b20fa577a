package command

import (
	"context"
	"errors"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

// codeFlag lets a command that logs in be given the code of the second factor.
func (g *Global) codeFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&g.code, "totp", "", "the `code` of the second factor, or a recovery code")
}

// signIn logs in, and asks for the code of the second factor where the director wants one.
func (g *Global) signIn(ctx context.Context, c *director.Client, in api.Login) (api.Token, error) {
	if in.Code = api.Secret(g.code); in.Code == "" {
		in.Code = api.Secret(g.system.Getenv(envCode))
	}
	token, err := c.Login(ctx, in)
	if api.CodeFrom(err) != api.CodeSecondFactor {
		return token, err
	}
	code, asked := g.prompt.Line(ctx, "Code of the second factor of "+in.Username+":")
	switch {
	case errors.Is(asked, ui.ErrNoTerminal):
		return token, failf(exitRefused, "%w; pass --totp CODE, or set %s", err, envCode)
	case asked != nil:
		return token, asked
	}
	in.Code = api.Secret(code)
	return c.Login(ctx, in)
}
