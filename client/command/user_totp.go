package command

import (
	"context"
	"fmt"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newUserTOTPCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "totp",
		Short: "Let logins need a code of an authenticator beside the password",
		Long: `A second factor: a login needs a code beside the password, which an authenticator makes anew every 30
seconds (RFC 6238). Tokens and certificates are not asked for one.`,
	},
		newUserTOTPEnableCommand(g), newUserTOTPConfirmCommand(g), newUserTOTPDisableCommand(g), newUserTOTPResetCommand(g),
	)
}

func newUserTOTPEnableCommand(g *Global) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "enable",
		Short: "Make a second factor for oneself",
		Long: `Make a second factor: put the secret, the URL or the QR code into an authenticator and type the first code
that it shows. From then on logins need one. Without a terminal, give the first code with
cps user totp confirm. Recovery codes are shown then, once: each logs in once without the authenticator.`,
		Example: "cps user totp enable\ncps user totp enable --password-file -",
		Args:    words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			password, err := g.askPassword(ctx, "Password:", file, "password-file")
			if err != nil {
				return fmt.Errorf("make a second factor: %w", err)
			}
			secret, err := c.BeginTOTP(ctx, api.TOTPBegin{Password: password})
			if err != nil {
				return fmt.Errorf("make a second factor: %w", err)
			}
			if err := g.show(secret, func() error { return g.showSecret(secret) }); err != nil || g.output != formTable {
				return err
			}
			if !g.prompt.Possible() {
				_, err := fmt.Fprintln(g.out, "It does not count yet; give its first code: cps user totp confirm CODE")
				return err
			}
			code, err := g.prompt.Line(ctx, "First code:")
			if err != nil {
				return fmt.Errorf("make a second factor: %w", err)
			}
			return g.confirmTOTP(ctx, c, code)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&file, "password-file", "", "read the password from a `file`, from standard input when it is -")
	return cmd
}

func (g *Global) showSecret(secret api.TOTPSecret) error {
	if g.out.Live {
		code, err := ui.QR(secret.URL.Reveal())
		if err != nil {
			return err
		}
		if _, err := fmt.Fprint(g.out, code); err != nil {
			return err
		}
	}
	return ui.Fields{{Name: "Secret", Value: secret.Secret.Reveal()}, {Name: "URL", Value: secret.URL.Reveal()}}.Write(g.out)
}

func newUserTOTPConfirmCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "confirm CODE",
		Short:   "Let the second factor count, by its first code, and show the recovery codes",
		Example: `cps user totp confirm 123456`,
		Args:    words("CODE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			return g.confirmTOTP(ctx, c, args[0])
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func (g *Global) confirmTOTP(ctx context.Context, c *director.Client, code string) error {
	recovery, err := c.ConfirmTOTP(ctx, api.TOTPConfirm{Code: api.Secret(code)})
	if err != nil {
		return fmt.Errorf("confirm the second factor: %w", err)
	}
	return g.show(recovery, func() error {
		texts := make([]string, len(recovery.Codes))
		for i, code := range recovery.Codes {
			texts[i] = "  " + ui.Clean(code.Reveal())
		}
		_, err := fmt.Fprintf(g.out, "Logins need a code from now on. These recovery codes, which are not shown again, log in once each:\n\n%s\n", strings.Join(texts, "\n"))
		return err
	})
}

func newUserTOTPDisableCommand(g *Global) *cobra.Command {
	var file, code string
	cmd := &cobra.Command{
		Use:     "disable",
		Short:   "End one's own second factor",
		Example: "cps user totp disable\ncps user totp disable --password-file ~/secret --totp 123456",
		Args:    words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			in := api.TOTPEnd{Code: api.Secret(code)}
			var err error
			if in.Password, err = g.askPassword(ctx, "Password:", file, "password-file"); err == nil && code == "" {
				var text string
				text, err = g.prompt.Line(ctx, "Code:")
				in.Code = api.Secret(text)
			}
			if err == nil {
				err = c.EndTOTP(ctx, director.Self, in)
			}
			if err != nil {
				return fmt.Errorf("end the second factor: %w", err)
			}
			return g.say(struct{}{}, "Logins need no code any more.")
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&file, "password-file", "", "read the password from a `file`, from standard input when it is -")
	cmd.Flags().StringVar(&code, "totp", "", "a `code`, or a recovery code")
	return cmd
}

func newUserTOTPResetCommand(g *Global) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "reset USER",
		Short:   "End the second factor of another user, as an administrator",
		Example: `cps user totp reset alice --yes`,
		Args:    words("USER"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("end the second factor of user %q", args[0])
			if err := g.confirm(ctx, yes, what, "Whoever has the password logs in without a code."); err != nil {
				return err
			}
			if err := c.EndTOTP(ctx, args[0], api.TOTPEnd{}); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return g.say(struct{}{}, "User %q logs in without a code.", args[0])
		}),
		ValidArgsFunction: g.complete(userNames),
	}
	yesFlag(cmd, &yes)
	return cmd
}
