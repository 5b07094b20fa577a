package command

import (
	"context"
	"fmt"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/login"

	"github.com/spf13/cobra"
)

func newLogoutCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "End the login, here and at the director",
		Long: `End the login: the director forgets the token, and it is removed here. Where a certificate is used in the
place of a login, it is revoked and removed. The director's CA stays known.`,
		Example: `cps logout`,
		Args:    words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := g.home()
			if err != nil {
				return err
			}
			var told error
			if at, err := g.connection(); err == nil {
				told = g.endLogin(cmd.Context(), at)
			}
			if err := h.Forget(); err != nil {
				return err
			}
			if err := h.ForgetKey(); err != nil {
				return err
			}
			if told != nil && api.CodeFrom(told) != api.CodeUnauthenticated {
				return fmt.Errorf("the login is removed here, but the director was not told: %w", told)
			}
			return g.say(struct{}{}, "Logged out.")
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

// endLogin tells the director that what is kept here opens nothing any more. Whatever else is configured, it is kept for the
// director of the last login.
func (g *Global) endLogin(ctx context.Context, at connection) error {
	at.access.url, at.access.key = at.login.Settings.Director, ""
	if at.login.Settings.Certificate {
		at.access.key = at.home.Path(login.FileKey)
	}
	c, err := g.keptClient(at)
	switch {
	case err != nil || !c.SpeaksForUser(): // nothing that the director could know
		return nil
	case at.access.key != "":
		return c.RevokeCertificate(ctx, director.Self, c.CertificateSerial())
	}
	return c.Logout(ctx)
}
