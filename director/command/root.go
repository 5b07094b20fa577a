// Package command is the command line of cpsdirector.
//
// It reads the configuration, opens the clouds and the director, and wires them together. It decides nothing else.
package command

import (
	"context"

	"github.com/spf13/cobra"

	"conpaas/client/daemon"
)

// global has the flags that every command takes.
type global struct {
	config string
	data   string
	debug  bool
}

// Main runs the program and gives its exit code.
func Main() int {
	return daemon.Run(func(ctx context.Context) error { return newRootCommand().ExecuteContext(ctx) })
}

func newRootCommand() *cobra.Command {
	g := &global{}
	root := &cobra.Command{
		Use:           "cpsdirector",
		Short:         "Run a ConPaaS installation",
		Long:          "cpsdirector runs a ConPaaS installation on this host: users, certificates, clouds, applications and their machines.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       daemon.Version,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&g.config, "config", "", "configuration `file`; without one the local cloud is used")
	flags.StringVar(&g.data, "data", "/var/lib/cpsdirector", "`folder` for everything that the director must not forget")
	flags.BoolVarP(&g.debug, "debug", "d", false, "log every request and step")
	root.AddCommand(newServeCommand(g), newConfigCommand(g), newCloudCommand(g), newVPNCommand(g), newRelayCommand(g))
	return root
}
