package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newUserCommand(g *Global) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "user",
		Short: "Create, show, change, disable and delete users",
		Long: `A user has applications of its own, which nobody else sees. A user sees and changes only itself;
administrators manage all users. Users are named by name or id.`,
	},
		newUserCreateCommand(g), newUserListCommand(g), newUserShowCommand(g), newUserChangeCommand(g), newUserPasswdCommand(g),
		newUserDisableCommand(g, "disable", true), newUserDisableCommand(g, "enable", false), newUserDeleteCommand(g), newUserTokenCommand(g), newUserRegisterCommand(g), newUserExportCommand(g),
		newUserGetCertificateCommand(g), newUserRenewCertificateCommand(g), newUserCertificateCommand(g), newUserTOTPCommand(g),
	)
	cmd.AddCommand(newUserCreditCommands(g)...)
	return cmd
}

func newUserCreateCommand(g *Global) *cobra.Command {
	var in api.UserCreate
	var admin bool
	var file string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a user",
		Long: `Create a user, as an administrator. The password is asked for at the terminal, or read from a file or from
standard input.`,
		Example: `cps user create alice --email alice@example.org --first-name Alice
cps user create robot --password-file ~/secret --credit 20
cps user create root --admin --password-file -`,
		Args: words("NAME"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			in.Name = args[0]
			if admin {
				in.Role = api.RoleAdmin
			}
			var err error
			if in.Password, err = g.newPassword(ctx, in.Name, file); err != nil {
				return fmt.Errorf("create user %q: %w", in.Name, err)
			}
			u, err := c.CreateUser(ctx, in)
			if err != nil {
				return fmt.Errorf("create user %q: %w", in.Name, err)
			}
			return g.say(u, "User %q has the id %d.", u.Name, u.ID)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	profileFlags(cmd, &in.Profile)
	creditFlag(cmd, &in)
	cmd.Flags().BoolVar(&admin, "admin", false, "an administrator")
	cmd.Flags().StringVar(&file, "password-file", "", "read the password from a `file`, from standard input when it is -")
	return cmd
}

func profileFlags(cmd *cobra.Command, p *api.Profile) {
	flags := cmd.Flags()
	flags.StringVar(&p.Email, "email", "", "`address` of mail")
	flags.StringVar(&p.FirstName, "first-name", "", "first `name`")
	flags.StringVar(&p.LastName, "last-name", "", "last `name`")
	flags.StringVar(&p.Affiliation, "affiliation", "", "`organization` or place")
}

func newUserListCommand(g *Global) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List all users",
		Example: `cps user list`,
		Args:    words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			users, err := listUsers(ctx, c)
			if err != nil {
				return fmt.Errorf("list the users: %w", err)
			}
			return g.show(users, func() error {
				t := ui.Table{Columns: []ui.Column{
					{Name: "id", Right: true}, {Name: "name"}, {Name: "role"}, {Name: "created"}, {Name: "account"}, {Name: "credit", Right: true}, {Name: "email", Optional: true},
				}}
				for _, u := range users {
					t.Rows = append(t.Rows, []string{userID(u.User), u.Name, string(u.Role), at(u.Created), accountState(u.User), credits(u.Credit), u.Email})
				}
				return t.Write(g.out)
			})
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	var credit bool // of the original, where it was not shown unless asked for
	cmd.Flags().BoolVar(&credit, "credit", false, "show the credits too; they always are")
	return cmd
}

func newUserShowCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "show [USER]",
		Aliases: []string{"get_config", "get-config"},
		Short:   "Show a user: oneself, or for an administrator anyone",
		Example: "cps user show\ncps user show alice -o json",
		Args:    words("[USER]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			ref := userArgument(args)
			u, err := c.User(ctx, ref)
			if err != nil {
				return fmt.Errorf("show user %q: %w", ref, err)
			}
			return g.show(u, func() error {
				return ui.Fields{
					{Name: "Name", Value: u.Name},
					{Name: "Id", Value: userID(u)},
					{Name: "Role", Value: string(u.Role)},
					{Name: "Account", Value: accountState(u)},
					{Name: "Second factor", Value: map[bool]string{true: "on", false: "off"}[u.TOTP]},
					{Name: "Created", Value: at(u.Created)},
					{Name: "Email", Value: u.Email},
					{Name: "First name", Value: u.FirstName},
					{Name: "Last name", Value: u.LastName},
					{Name: "Affiliation", Value: u.Affiliation},
				}.Write(g.out)
			})
		}),
		ValidArgsFunction: g.complete(userNames),
	}
}

func userID(u api.User) string { return strconv.FormatInt(int64(u.ID), 10) }

func accountState(u api.User) string {
	if u.Deleting != nil {
		text := "being deleted since " + at(u.Deleting.Since)
		if len(u.Deleting.Applications) > 0 {
			text += ", waits for " + strings.Join(u.Deleting.Applications, ", ")
		}
		return text
	}
	if u.Disabled {
		return "disabled"
	}
	return "enabled"
}

// userArgument is the user that a command is about: the one who calls where none is named.
func userArgument(args []string) string {
	if len(args) == 0 {
		return director.Self
	}
	return args[0]
}
