package command

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newUserTokenCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "token",
		Short: "Create, list and revoke tokens for programs",
		Long: `A token stands for its user in requests of a program, in the header Authorization: Bearer TOKEN, until it
expires or is revoked. It cannot make other tokens. Logins have tokens too, which are listed beside those with a name.`,
	},
		newUserTokenCreateCommand(g), userTokens().newListCommand(g), newUserTokenRevokeCommand(g),
	)
}

func newUserTokenCreateCommand(g *Global) *cobra.Command {
	var expires string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a token and show it, this once",
		Example: `cps user token create ci
cps user token create ci --expires 90d -o json`,
		Args: words("NAME"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			life, err := days(expires)
			if err != nil {
				return usagef("user token create: --expires %w", err)
			}
			made, err := c.CreateToken(ctx, api.TokenCreate{Name: args[0], Seconds: int64(life / time.Second)})
			if err != nil {
				return fmt.Errorf("create token %q: %w", args[0], err)
			}
			return g.show(made, func() error {
				return ui.Fields{
					{Name: "Name", Value: made.Name},
					{Name: "Id", Value: strconv.FormatInt(made.ID, 10)},
					{Name: "Expires", Value: at(made.Expires)},
					{Name: "Token", Value: made.Token.Reveal()},
				}.Write(g.out)
			})
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&expires, "expires", "30d", "how `long` it is good, such as 90d or 12h; at most 366d")
	return cmd
}

// days is time.ParseDuration with days.
func days(text string) (time.Duration, error) {
	const day, most = 24 * time.Hour, 366
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(number); err == nil && n > 0 && n <= most {
			return time.Duration(n) * day, nil
		}
	} else if d, err := time.ParseDuration(text); err == nil && d >= time.Second && d <= most*day {
		return d, nil
	}
	return 0, fmt.Errorf("%q: want a time of at most %dd, such as 30d or 12h", text, most)
}

// userTokens are completed by their name, which those of logins do not have.
func userTokens() proofs[api.UserToken] {
	return proofs[api.UserToken]{
		kind: "token", id: ui.Column{Name: "id", Right: true}, of: (*director.Client).Tokens,
		show: func(t api.UserToken) proof {
			id := strconv.FormatInt(t.ID, 10)
			return proof{id: id, name: cmp.Or(t.Name, "(login)"), created: t.Created, expires: t.Expires, used: t.Used, word: t.Name, hint: "until " + at(t.Expires)}
		},
	}
}

func newUserTokenRevokeCommand(g *Global) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:     "revoke TOKEN",
		Short:   "End a token by name or id",
		Example: "cps user token revoke ci\ncps user token revoke 17 --user alice",
		Args:    words("TOKEN"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if err := c.RevokeToken(ctx, user, args[0]); err != nil {
				return fmt.Errorf("revoke token %q: %w", args[0], err)
			}
			return g.say(struct{}{}, "Token %q has ended.", args[0])
		}),
	}
	userTokens().revokeFlags(g, cmd, &user)
	return cmd
}
