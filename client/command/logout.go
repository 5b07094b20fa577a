package command

import (
	"fmt"

	"conpaas/client/api"

	"github.com/spf13/cobra"
)

func newLogoutCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "logout",
		Short:   "End the login, here and at the director",
		Long:    `End the login: the director forgets the token, and it is removed here. The director's CA stays known.`,
		Example: `cps logout`,
		Args:    words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := g.home()
			if err != nil {
				return err
			}
			var told error
			if at, err := g.connection(); err == nil && at.login.token != "" {
				at.access.url = at.login.settings.Director // whatever is configured: this login is there
				if c, err := g.dialFor(at, at.login.token); err == nil {
					told = c.Logout(cmd.Context())
				}
			}
			if err := h.forget(); err != nil {
				return err
			}
			if told != nil && api.CodeFrom(told) != api.CodeUnauthenticated {
				return fmt.Errorf("the token is removed here, but the director was not told: %w", told)
			}
			return g.say(struct{}{}, "Logged out.")
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}
