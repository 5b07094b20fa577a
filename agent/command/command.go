// Package command is the command line of cpsagent.
//
// It puts the parts of the agent together and knows nothing of what they do.
package command

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"conpaas/client/daemon"
)

// global has the options of all commands.
type global struct {
	root  string
	level string
	json  bool
}

// Execute runs the command that the program's arguments name, until it ends or ctx does.
func Execute(ctx context.Context) error { return New().ExecuteContext(ctx) }

// New gives the whole command line.
func New() *cobra.Command {
	g := &global{}
	c := &cobra.Command{
		Use:   "cpsagent",
		Short: "The agent of ConPaaS: makes one machine what its manager says",
		Long: `The agent of ConPaaS. One runs on every machine of a service: it joins with what the machine's user-data has
written to /var/lib/conpaas/bootstrap.json, connects to the manager of its application, makes the machine what
the manager says and keeps it so, also while no manager can be reached.

Exit codes: 0 it did what it was asked or was told to end, 1 it could not.`,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	flags := c.PersistentFlags()
	flags.StringVar(&g.root, "root", "", "prefix of all paths; for machines that are mere processes")
	flags.StringVar(&g.level, "log-level", "info", "debug, info, warn or error")
	flags.BoolVar(&g.json, "log-json", false, "log JSON lines")
	c.AddCommand(newRunCommand(g), newInitCommand(g), newOverlayCommand(g), newVersionCommand(), newPageCommand(g))
	return c
}

// logLevel reads --log-level.
func (g *global) logLevel() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(g.level))); err != nil {
		return level, fmt.Errorf("log level %q: use debug, info, warn or error", g.level)
	}
	return level, nil
}

// logger writes to standard error.
func (g *global) logger() (*slog.Logger, error) {
	level, err := g.logLevel()
	if err != nil {
		return nil, err
	}
	return daemon.Logger(os.Stderr, level, g.json), nil
}
