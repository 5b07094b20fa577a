package command

import (
	"context"
	"fmt"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newApplicationShareCommand(g *Global) *cobra.Command {
	level := string(api.ShareView)
	cmd := &cobra.Command{
		Use:   "share APPLICATION USER",
		Short: "Share an application with another user",
		Long: `Let another user see an application (level view), or operate it too (level operate): start, stop, scale,
configure, upload code and run commands on its machines. Deleting and renaming it, removing its services and sharing it
stay with its owner, who pays for what others start. Sharing again changes the level.

The other user names the application OWNER:NAME, or by its id.`,
		Example: `cps application share shop bob
cps application share shop bob --level operate`,
		Args: words("APPLICATION", "USER"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			s, err := c.ShareApplication(ctx, args[0], args[1], api.ShareChange{Level: api.ShareLevel(level)})
			if err != nil {
				return fmt.Errorf("share application %q with %q: %w", args[0], args[1], err)
			}
			return g.say(s, "Application %q is shared with %q: %s.", args[0], s.User, s.Level)
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
	cmd.Flags().StringVar(&level, "level", level, "what the user may do: view or operate")
	register(cmd, "level", cobra.FixedCompletions([]string{string(api.ShareView), string(api.ShareOperate)}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func newApplicationUnshareCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:   "unshare APPLICATION [USER]",
		Short: "End a share of an application, at once; without USER one's own",
		Long: `End the share that a user has of an application. It ends at once, also for logs that are followed and commands
that run. Without USER the one who calls leaves an application that is shared with it.`,
		Example: `cps application unshare shop bob
cps application unshare alice:shop`,
		Args: words("APPLICATION", "[USER]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			user := userArgument(args[1:])
			if err := c.UnshareApplication(ctx, args[0], user); err != nil {
				return fmt.Errorf("end the share of application %q: %w", args[0], err)
			}
			if user == director.Self {
				return g.say(struct{}{}, "Application %q is not shared with you any more.", args[0])
			}
			return g.say(struct{}{}, "Application %q is not shared with %q any more.", args[0], user)
		}),
		ValidArgsFunction: g.complete(applicationNames, shareUsers),
	}
}

func newApplicationSharesCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "shares APPLICATION",
		Short:   "List with whom an application is shared",
		Example: `cps application shares shop`,
		Args:    words("APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			shares, err := c.Shares(ctx, args[0])
			if err != nil {
				return fmt.Errorf("list the shares of application %q: %w", args[0], err)
			}
			return g.show(shares, func() error {
				t := ui.Table{Columns: []ui.Column{{Name: "user"}, {Name: "level"}, {Name: "since"}}}
				for _, s := range shares {
					t.Rows = append(t.Rows, []string{s.User, string(s.Level), at(s.Created)})
				}
				return t.Write(g.out)
			})
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
}

// shareUsers completes a user that the application before it is shared with.
func shareUsers(ctx context.Context, c *director.Client, args []string) ([]cobra.Completion, error) {
	shares, err := c.Shares(ctx, args[0])
	var names []cobra.Completion
	for _, s := range shares {
		names = append(names, described(s.User, string(s.Level)))
	}
	return names, err
}

// reference is how the one who calls names an application: one that is shared with it by its owner too.
func reference(a api.Application) string {
	if a.Shared != "" {
		return a.Owner + ":" + a.Name
	}
	return a.Name
}

// sharer is the owner of an application that is shared with the one who calls, "" for one of its own.
func sharer(a api.Application) string {
	if a.Shared != "" {
		return a.Owner
	}
	return ""
}
