package command

import (
	"context"
	"errors"
	"fmt"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newUserPasswdCommand(g *Global) *cobra.Command {
	var newFile, oldFile string
	cmd := &cobra.Command{
		Use:   "passwd [USER]",
		Short: "Give oneself, or as an administrator another user, another password",
		Long: `Give a user another password. All its tokens and certificates end, those of this login too: log in again
afterwards.
Who changes its own password is asked for the old one.`,
		Example: `cps user passwd
cps user passwd --old-password-file ~/old --password-file ~/new
cps user passwd alice --password-file -`,
		Args: words("[USER]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if newFile == "-" && oldFile == "-" {
				return usagef("user passwd: standard input cannot be both passwords; put one into a file")
			}
			ref := userArgument(args)
			u, own, err := g.changePassword(ctx, c, ref, oldFile, newFile)
			switch {
			case err != nil:
				return fmt.Errorf("change the password of user %q: %w", ref, err)
			case own:
				return g.say(u, "Your password is changed, all your tokens and certificates have ended; log in again: cps login")
			}
			return g.say(u, "User %q has another password; all its tokens and certificates have ended.", u.Name)
		}),
		ValidArgsFunction: g.complete(userNames),
	}
	cmd.Flags().StringVar(&newFile, "password-file", "", "read the new password from a `file`, from standard input when it is -")
	cmd.Flags().StringVar(&oldFile, "old-password-file", "", "read the old password from a `file`, from standard input when it is -")
	return cmd
}

// changePassword tells whether it was the caller's own.
func (g *Global) changePassword(ctx context.Context, c *director.Client, ref, oldFile, newFile string) (u api.User, own bool, err error) {
	self, err := c.Me(ctx)
	if err != nil {
		return u, false, err
	}
	if u, err = c.User(ctx, ref); err != nil {
		return u, false, err
	}
	own = self.ID == u.ID
	in := api.PasswordChange{}
	if own {
		if in.Old, err = g.askPassword(ctx, "Old password:", oldFile, "old-password-file"); err != nil {
			return u, own, err
		}
	}
	if in.New, err = g.newPassword(ctx, u.Name, newFile); err != nil {
		return u, own, err
	}
	return u, own, c.ChangePassword(ctx, userID(u), in)
}

// newPassword asks for a password twice, or reads it from a file. It never comes from the command line, which others see.
func (g *Global) newPassword(ctx context.Context, of, file string) (api.Secret, error) {
	password, err := g.askPassword(ctx, "New password of "+of+":", file, "password-file")
	if err != nil || file != "" {
		return password, err
	}
	again, err := g.askPassword(ctx, "Once more:", "", "password-file")
	if err == nil && again != password {
		err = usagef("the two passwords differ")
	}
	return password, err
}

func (g *Global) askPassword(ctx context.Context, question, file, flag string) (api.Secret, error) {
	var text string
	var err error
	if file == "" {
		text, err = g.prompt.Password(ctx, question)
	} else {
		text, err = g.readPassword(file)
	}
	switch {
	case errors.Is(err, ui.ErrNoTerminal):
		return "", usagef("there is no terminal to ask for the password; pass --%s FILE, or - to read it from standard input", flag)
	case err == nil && text == "":
		return "", usagef("the password is empty")
	}
	return api.Secret(text), err
}
