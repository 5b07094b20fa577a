package command

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

// newCompletionCommand gives the command that writes the script for the program of that name.
func newCompletionCommand(program string) *cobra.Command {
	shells := map[string]func(root *cobra.Command, to io.Writer) error{
		"bash":       func(root *cobra.Command, to io.Writer) error { return root.GenBashCompletionV2(to, true) },
		"fish":       func(root *cobra.Command, to io.Writer) error { return root.GenFishCompletion(to, true) },
		"powershell": (*cobra.Command).GenPowerShellCompletionWithDesc,
		"zsh":        (*cobra.Command).GenZshCompletion,
	}
	known := slices.Sorted(maps.Keys(shells))
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Write the script by which a shell completes the command line",
		Long: fmt.Sprintf(`Write the script by which a shell (`+strings.Join(known, ", ")+`) completes commands, flags and the
names that the director knows.

For bash, now and in every new shell:

  source <(%[1]s completion bash)
  %[1]s completion bash > ~/.local/share/bash-completion/completions/%[1]s

For zsh and fish:

  %[1]s completion zsh > "${fpath[1]}/_%[1]s"
  %[1]s completion fish > ~/.config/fish/completions/%[1]s.fish`, program),
		Example:   program + ` completion bash`,
		ValidArgs: known,
		Args:      words("SHELL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, ok := shells[args[0]]
			if !ok {
				return usagef("completion: there is none for %q, only for %s", args[0], strings.Join(known, ", "))
			}
			return write(cmd.Root(), cmd.OutOrStdout())
		},
		Annotations: map[string]string{plainText: "true"},
	}
}

// completer gives what can stand at one place of a command line, from the director; args are the words before.
type completer func(ctx context.Context, c *director.Client, args []string) ([]cobra.Completion, error)

// complete asks the director for live names, one completer per argument; without an answer within two seconds
// it completes nothing: a shell must not hang.
func (g *Global) complete(places ...completer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(places) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return g.completeFlag(places[len(args)])(cmd, args, toComplete)
	}
}

// completeFlag is complete for the value of a flag.
func (g *Global) completeFlag(place completer) cobra.CompletionFunc {
	const patience = 2 * time.Second
	return func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := g.kept()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), patience)
		defer cancel()
		all, err := place(ctx, c, args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var fit []cobra.Completion
		for _, one := range all {
			word, _, _ := strings.Cut(one, "\t")
			if strings.HasPrefix(word, toComplete) && ui.Clean(word) == word {
				fit = append(fit, one)
			}
		}
		return fit, cobra.ShellCompDirectiveNoFileComp
	}
}

func described(word, description string) cobra.Completion {
	return cobra.CompletionWithDesc(word, ui.Clean(description))
}

func applicationNames(ctx context.Context, c *director.Client, _ []string) ([]cobra.Completion, error) {
	apps, err := c.Applications(ctx)
	var names []cobra.Completion
	for _, a := range apps {
		names = append(names, described(reference(a), string(a.State)))
	}
	return names, err
}

// serviceNames completes a service of the application before it.
func serviceNames(ctx context.Context, c *director.Client, args []string) ([]cobra.Completion, error) {
	if len(args) == 0 { // the flag stands before the application
		return nil, nil
	}
	services, err := c.Services(ctx, args[0])
	var names []cobra.Completion
	for _, s := range services {
		names = append(names, described(s.Name, string(s.Type)+" "+string(s.State)))
	}
	return names, err
}

func serviceTypes(ctx context.Context, c *director.Client, _ []string) ([]cobra.Completion, error) {
	kinds, err := c.ServiceTypes(ctx)
	var names []cobra.Completion
	for _, k := range kinds {
		names = append(names, described(string(k.Type), k.Description))
	}
	return names, err
}

func nodeIDs(ctx context.Context, c *director.Client, _ []string) ([]cobra.Completion, error) {
	nodes, applications, err := ofApplications(ctx, c, nil, c.Nodes)
	var names []cobra.Completion
	for _, n := range nodes {
		names = append(names, described(string(n.ID), string(n.Role)+" of "+applications[n.Application]+" "+string(n.State)))
	}
	return names, err
}

func operationIDs(ctx context.Context, c *director.Client, _ []string) ([]cobra.Completion, error) {
	operations, err := c.Operations(ctx, "")
	var names []cobra.Completion
	for _, o := range operations {
		names = append(names, described(string(o.ID), string(o.Kind)+" "+string(o.State)))
	}
	return names, err
}

func cloudNames(ctx context.Context, c *director.Client, _ []string) ([]cobra.Completion, error) {
	clouds, err := c.Clouds(ctx)
	var names []cobra.Completion
	for _, cloud := range clouds {
		names = append(names, described(cloud.Name, cloud.Kind))
	}
	return names, err
}

func userNames(ctx context.Context, c *director.Client, _ []string) ([]cobra.Completion, error) {
	users, err := c.Users(ctx)
	var names []cobra.Completion
	for _, u := range users {
		names = append(names, described(u.Name, string(u.Role)+" "+accountState(u)))
	}
	return names, err
}
