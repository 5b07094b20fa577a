// Package command is the command line of cpsmanager.
//
// It puts the parts of the manager together and knows nothing of what they do.
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
	c, options := command.New("cpsmanager", "manager", "The manager of ConPaaS: plans what the machines of one application do",
		`The manager of ConPaaS. One runs for every application, on a machine of its own: it joins with what the machine's
user-data has written to /var/lib/conpaas/bootstrap.json, connects to the director, takes the connections of the
application's agents on port 5556 of its overlay address, and tells each what its machine is to be. It holds nothing
that cannot be lost: a manager on a new machine learns everything from the director and the agents.`)
	g := &global{options}
	c.AddCommand(newRunCommand(g), newOverlayCommand(g), newRelayCommand(g))
	return c
}
