package command

import (
	"context"
	"fmt"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

func newUserChangeCommand(g *Global) *cobra.Command {
	var profile api.Profile
	var role string
	cmd := &cobra.Command{
		Use:   "change [USER]",
		Short: "Change what is known of a user; for an administrator also its role",
		Example: `cps user change --email alice@example.org --affiliation ""
cps user change alice --role admin`,
		Args:              words("[USER]"),
		ValidArgsFunction: g.complete(userNames),
	}
	profileFlags(cmd, &profile)
	cmd.Flags().StringVar(&role, "role", "", "`user` or admin")
	register(cmd, "role", cobra.FixedCompletions([]string{string(api.RoleUser), string(api.RoleAdmin)}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = g.run(func(ctx context.Context, c *director.Client, args []string) error {
		in := api.UserChange{}
		for flag, set := range map[string]func(){
			"email":       func() { in.Email = &profile.Email },
			"first-name":  func() { in.FirstName = &profile.FirstName },
			"last-name":   func() { in.LastName = &profile.LastName },
			"affiliation": func() { in.Affiliation = &profile.Affiliation },
			"role":        func() { in.Role = (*api.UserRole)(&role) },
		} {
			if cmd.Flags().Changed(flag) {
				set()
			}
		}
		if in == (api.UserChange{}) {
			return usagef("user change: nothing is to be changed; pass --email, --first-name, --last-name, --affiliation or --role")
		}
		ref := userArgument(args)
		u, err := c.ChangeUser(ctx, ref, in)
		if err != nil {
			return fmt.Errorf("change user %q: %w", ref, err)
		}
		return g.say(u, "User %q is changed.", u.Name)
	})
	return cmd
}

// newUserDisableCommand makes the commands that close and reopen an account.
func newUserDisableCommand(g *Global, verb string, disabled bool) *cobra.Command {
	short, said := "Let a user log in again", "User %q may log in again."
	if disabled {
		short, said = "Close the account of a user and end its tokens and certificates; what runs goes on", "User %q is disabled; its applications go on."
	}
	return &cobra.Command{
		Use:     verb + " USER",
		Short:   short,
		Example: "cps user " + verb + " alice",
		Args:    words("USER"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			u, err := c.ChangeUser(ctx, args[0], api.UserChange{Disabled: &disabled})
			if err != nil {
				return fmt.Errorf("%s user %q: %w", verb, args[0], err)
			}
			return g.say(u, said, u.Name)
		}),
		ValidArgsFunction: g.complete(userNames),
	}
}

func newUserDeleteCommand(g *Global) *cobra.Command {
	var yes, applications bool
	cmd := &cobra.Command{
		Use:   "delete USER",
		Short: "Delete a user, and its applications where that is said",
		Long: `Delete a user with its tokens and certificates. That is refused while the user has applications; the
answer names them. With --with-applications the account is closed at once, its applications are deleted
with all their data, and it goes with the last of them; until then cps user show tells what is left.`,
		Example: "cps user delete alice --yes\ncps user delete alice --with-applications --yes",
		Args:    words("USER"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("delete user %q", args[0])
			consequence := "Its tokens and certificates end, and the name is free again."
			if applications {
				consequence = "Its applications are deleted, too, with all their data."
			}
			if err := g.confirm(ctx, yes, what, consequence); err != nil {
				return err
			}
			if err := c.DeleteUser(ctx, args[0], applications); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			if u, err := c.User(ctx, args[0]); applications && err == nil && u.Deleting != nil {
				return g.say(u, "User %q is closed and goes with the last of its applications: %s.", u.Name, strings.Join(u.Deleting.Applications, ", "))
			}
			return g.say(struct{}{}, "User %q is deleted.", args[0])
		}),
		ValidArgsFunction: g.complete(userNames),
	}
	cmd.Flags().BoolVar(&applications, "with-applications", false, "delete its applications, too, with all their data")
	yesFlag(cmd, &yes)
	return cmd
}
