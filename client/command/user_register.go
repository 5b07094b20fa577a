package command

import (
	"context"
	"fmt"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/login"

	"github.com/spf13/cobra"
)

func newUserRegisterCommand(g *Global) *cobra.Command {
	var in api.UserCreate
	var o loginOptions
	cmd := &cobra.Command{
		Use:     "register NAME",
		Aliases: []string{"create_free", "create-free"},
		Short:   "Make an account for oneself, where the installation allows it, and log in",
		Long: `Make an account for oneself at a director whose administrator allows that, and log in. The director is
the one of --director or of the last login; its CA certificate is looked at first as by cps login.`,
		Example: `cps user register alice --director https://director.example.org:5555 --email alice@example.org
cps user register alice --password-file ~/secret --ca ca_cert.pem`,
		Args: words("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check("register"); err != nil {
				return err
			}
			g.loggingIn = true
			in.Name = args[0]
			return g.register(cmd.Context(), in, o)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.flags(cmd)
	profileFlags(cmd, &in.Profile)
	creditFlag(cmd, &in)
	return cmd
}

func (g *Global) register(ctx context.Context, in api.UserCreate, o loginOptions) error {
	h, err := g.home()
	if err != nil {
		return err
	}
	last, err := h.Load()
	if err != nil { // as for a login
		last = login.Login{}
	}
	as, err := g.access(h, last)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	url := as.url
	if url == "" {
		return usagef("register: which director? Pass --director https://director.example.org:%s", director.Port)
	}
	if o.passwordFile == "" && !g.prompt.Possible() {
		return usagef("register: there is no terminal to ask for the password; pass --password-file FILE, or - to read it from standard input")
	}
	ca, from, err := g.chooseCA(ctx, h, url, last, o)
	if err != nil {
		return fmt.Errorf("register at %s: %w", url, err)
	}
	if in.Password, err = g.newPassword(ctx, in.Name, o.passwordFile); err != nil {
		return fmt.Errorf("register at %s: %w", url, err)
	}
	c, err := g.dial(url, ca, from, credential{})
	if err == nil {
		_, err = c.Register(ctx, in)
	}
	if err != nil {
		return fmt.Errorf("register at %s as %q: %w", url, in.Name, err)
	}
	return g.enter(ctx, h, c, ca, api.Login{Username: in.Name, Password: in.Password})
}
