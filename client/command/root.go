package command

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newTree gives all commands, noun by noun.
func newTree(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   programCPS,
		Short: "Work with the applications and services of a ConPaaS installation",
		Long: `cps is the command line client of ConPaaS. Log in to a director first; then create an
application, add services to it, start them and scale them by role.

Applications and services are named by name or id, nodes and operations by id.`,
		Example: `cps login https://director.example.org:5555
cps application create shop
cps application start shop
cps service add helloworld shop
cps service start shop helloworld
cps service add-nodes shop helloworld --node 2
cps application delete shop --yes`,
		SilenceErrors: true,
		SilenceUsage:  true,
	},
		newLoginCommand(g), newLogoutCommand(g), newVersionCommand(g), newStatusCommand(g),
		newApplicationCommand(g), newServiceCommand(g), newNodeCommand(g), newVolumeCommand(g), newCloudCommand(g), newCACommand(g), newOperationCommand(g), newUserCommand(g), newAuditCommand(g),
		newHelloworldCommand(g), newPHPCommand(g), newJavaCommand(g), newMySQLCommand(g), newGenericCommand(g), newDirectorCommand(g), newCompletionCommand(programCPS), newInstallLinksCommand(g),
		newExitCodesTopic(), newOutputTopic(), newFilesTopic(), newManifestsTopic(),
	)
}

// name is how errors name a command: without the name of the program, which is before every error anyway.
func name(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return cmd.Name()
	}
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

func indentExamples(cmd *cobra.Command) {
	if cmd.Example != "" {
		cmd.Example = "  " + strings.ReplaceAll(cmd.Example, "\n", "\n  ")
	}
	for _, sub := range cmd.Commands() {
		indentExamples(sub)
	}
}

// normalize accepts the spellings of the original tools: --director_url for --director.
func normalize(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	name = strings.ReplaceAll(name, "_", "-")
	switch name {
	case "director-url":
		name = "director"
	case "fname":
		name = "first-name"
	case "lname":
		name = "last-name"
	}
	return pflag.NormalizedName(name)
}

// group makes a command of which only the subcommands do something.
func group(cmd *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subs...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.DisableFlagsInUseLine = true
	cmd.FParseErrWhitelist.UnknownFlags = true // the unknown command is the mistake, not its flags
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && !cmd.HasParent() {
			return cmd.Help()
		}
		if len(args) == 0 {
			return usagef("%s: the command is missing; see: %s --help", name(cmd), cmd.CommandPath())
		}
		hint := "see: " + cmd.CommandPath() + " --help"
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "?"
		}
		return usagef("%s: there is no command %q; %s", name(cmd), args[0], hint)
	}
	return cmd
}

func newHelpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | TOPIC]",
		Short: "Help about a command or a topic",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			at, _, err := root.Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []cobra.Completion
			for _, sub := range at.Commands() {
				if !sub.Hidden {
					names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("help: there is no command or topic %q; see: %s help", strings.Join(args, " "), root.Name())
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}
