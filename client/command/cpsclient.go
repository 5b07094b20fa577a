package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"conpaas/client/director"

	"github.com/spf13/cobra"
)

// newFlatCommand gives the commands of cpsclient, the first client of ConPaaS: one word each, and services before
// their applications. Each is a command of the tree under that name; what it does is written there.
func newFlatCommand(g *Global) *cobra.Command {
	same := func(cmd *cobra.Command, use, example string) *cobra.Command { return flat(cmd, use, example, asGiven) }
	ofService := func(cmd *cobra.Command, use, example string) *cobra.Command {
		cmd = flat(cmd, use, example, applicationFirst)
		cmd.ValidArgsFunction = cobra.NoFileCompletions // the service is typed before the application that has it
		return cmd
	}
	remove := ofService(newServiceRemoveCommand(g), "terminate SERVICE APPLICATION", "cpsclient terminate 1 shop --yes")
	remove.Aliases = []string{"remove"}
	client := group(&cobra.Command{
		Use:   programClient,
		Short: "The commands of the first client of ConPaaS",
		Long: `cpsclient has the commands of the first client of ConPaaS, with their order of arguments: a service
stands before its application. Both are named by name or id. cps does the same and more.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	},
		same(newLoginCommand(g), "credentials [URL]", "cpsclient credentials https://director.example.org:5555"),
		same(newUserGetCertificateCommand(g), "getcerts", "cpsclient getcerts --password-file -"),
		same(newVersionCommand(g), "version", "cpsclient version"),
		same(newApplicationListCommand(g), "listapp", "cpsclient listapp"),
		same(newServiceTypesCommand(g), "available", "cpsclient available"),
		same(newCloudListCommand(g), "clouds", "cpsclient clouds"),
		same(newServiceListCommand(g, ""), "list [APPLICATION]", "cpsclient list shop"),
		same(newApplicationCreateCommand(g), "createapp NAME", "cpsclient createapp shop"),
		same(newApplicationDeleteCommand(g), "deleteapp APPLICATION", "cpsclient deleteapp shop --yes"),
		same(newApplicationRenameCommand(g), "renameapp APPLICATION NAME", "cpsclient renameapp shop old-shop"),
		same(newApplicationStartCommand(g), "startapp APPLICATION", "cpsclient startapp shop"),
		same(newApplicationStopCommand(g), "stopapp APPLICATION", "cpsclient stopapp shop"),
		same(newApplicationShowCommand(g), "infoapp APPLICATION", "cpsclient infoapp shop"),
		newFlatAddCommand(g),
		ofService(newServiceStartCommand(g), "start SERVICE APPLICATION", "cpsclient start 1 shop"),
		ofService(newServiceStopCommand(g), "stop SERVICE APPLICATION", "cpsclient stop 1 shop"),
		ofService(newServiceShowCommand(g), "info SERVICE APPLICATION", "cpsclient info 1 shop"),
		ofService(newServiceLogCommand(g), "logs SERVICE APPLICATION", "cpsclient logs 1 shop"),
		remove,
		ofService(newServiceRenameCommand(g), "rename SERVICE APPLICATION NAME", "cpsclient rename 1 shop front"),
		ofService(newServiceNodesCommand(g), "list_nodes SERVICE APPLICATION", "cpsclient list_nodes 1 shop"),
		newFlatUsageCommand(g), newCompletionCommand(programClient),
	)
	client.AddCommand(flatTyped(g, ofService)...)
	return client
}

// flat gives a command of the tree another name and another order of arguments: turn makes its own of those
// that stand in use.
func flat(cmd *cobra.Command, use, example string, turn func(args []string) []string) *cobra.Command {
	run := cmd.RunE
	cmd.Use, cmd.Example, cmd.Aliases = use, example, nil
	cmd.Args = words(strings.Fields(use)[1:]...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return run(cmd, turn(args)) }
	return cmd
}

func asGiven(args []string) []string { return args }

// applicationFirst turns SERVICE APPLICATION … into APPLICATION SERVICE ….
func applicationFirst(args []string) []string {
	return append([]string{args[1], args[0]}, args[2:]...)
}

// newFlatAddCommand adds a service; without an application to the only one that there is.
func newFlatAddCommand(g *Global) *cobra.Command {
	cmd := newServiceAddCommand(g)
	run := cmd.RunE
	cmd = flat(cmd, "create TYPE [APPLICATION] [CLOUD]", "cpsclient create helloworld shop\ncpsclient add php shop default", asGiven)
	cmd.Aliases = []string{"add"}
	cmd.ValidArgsFunction = g.complete(serviceTypes, applicationNames, cloudNames)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 2 {
			if err := cmd.Flags().Set("cloud", args[2]); err != nil {
				return err
			}
			args = args[:2]
		}
		if len(args) == 1 {
			c, err := g.authorized(cmd.Context())
			if err != nil {
				return err
			}
			only, err := onlyApplication(cmd.Context(), c)
			if err != nil {
				return fmt.Errorf("%s: %w", name(cmd), err)
			}
			args = append(slices.Clone(args), only)
		}
		return run(cmd, args)
	}
	return cmd
}

func onlyApplication(ctx context.Context, c *director.Client) (string, error) {
	apps, err := c.Applications(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("look for the application: %w", err)
	case len(apps) == 0:
		return "", usagef("there is no application yet; make one with: cpsclient createapp NAME")
	case len(apps) > 1:
		return "", usagef("there are %d applications; name the one to add the service to", len(apps))
	}
	return apps[0].ID.String(), nil
}
