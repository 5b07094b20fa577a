// Package command is the command line of cpsdirector.
//
// It reads the configuration, opens the clouds and the director, and wires them together. It decides nothing else.
package command

import (
	"cmp"
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"conpaas/client/daemon"
	"conpaas/director/cloud/local/userns"
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

// defaultData is the data folder where --data says nothing: the host's for root, else the user's own.
func defaultData() string {
	home, err := os.UserHomeDir()
	if err != nil || !userns.Ordinary() {
		return "/var/lib/cpsdirector"
	}
	return filepath.Join(cmp.Or(os.Getenv("XDG_DATA_HOME"), filepath.Join(home, ".local", "share")), "cpsdirector")
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
	flags.StringVar(&g.data, "data", defaultData(), "`folder` for everything that the director must not forget")
	flags.BoolVarP(&g.debug, "debug", "d", false, "log every request and step")
	root.AddCommand(newServeCommand(g), newConfigCommand(g), newCloudCommand(g), newVPNCommand(g), newRelayCommand(g), newDoctorCommand(g), newAuditCommand(g))
	return root
}
