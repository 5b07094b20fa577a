// Package command is the command line of cpsagent.
//
// It puts the parts of the agent together and knows nothing of what they do.
package command

import (
	"context"

	"github.com/spf13/cobra"

	"conpaas/client/daemon/command"
)

// global has the options of all commands.
type global struct{ *command.Options }

// Execute runs the command that the program's arguments name, until it ends or ctx does.
func Execute(ctx context.Context) error { return New().ExecuteContext(ctx) }

// New gives the whole command line.
func New() *cobra.Command {
	c, options := command.New("cpsagent", "agent", "The agent of ConPaaS: makes one machine what its manager says",
		`The agent of ConPaaS. One runs on every machine of a service: it joins with what the machine's user-data has
written to /var/lib/conpaas/bootstrap.json, connects to the manager of its application, makes the machine what
the manager says and keeps it so, also while no manager can be reached.`)
	g := &global{options}
	c.AddCommand(newRunCommand(g), newOverlayCommand(g), newPageCommand(g), newMySQLCheckCommand(), newMySQLServerCommand(g))
	return c
}
