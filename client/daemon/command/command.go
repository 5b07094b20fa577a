// Package command is what the command lines of the programs on nodes, agent and manager, have in common: the options of
// all commands, and the commands init and version.
//
// It knows nothing of what these programs do.
package command

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/daemon/pid1"
)

// Options are those of all commands.
type Options struct {
	Root string // prefix of all paths; "" on a machine of its own
	JSON bool   // log JSON lines

	level string
}

// New gives the command line of a program, for example "cpsagent", that calls itself what ("agent") in texts. It has the
// commands init and version.
func New(program, what, short, long string) (*cobra.Command, *Options) {
	o := &Options{}
	c := &cobra.Command{
		Use: program, Short: short,
		Long:         long + "\n\nExit codes: 0 it did what it was asked or was told to end, 1 it could not.",
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	flags := c.PersistentFlags()
	flags.StringVar(&o.Root, "root", "", "prefix of all paths; for machines that are mere processes")
	flags.StringVar(&o.level, "log-level", "info", "debug, info, warn or error")
	flags.BoolVar(&o.JSON, "log-json", false, "log JSON lines")
	c.AddCommand(newInitCommand(o, program, what), newVersionCommand(program))
	return c, o
}

// Level reads --log-level.
func (o *Options) Level() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(o.level))); err != nil {
		return level, fmt.Errorf("log level %q: use debug, info, warn or error", o.level)
	}
	return level, nil
}

// Logger writes to standard error.
func (o *Options) Logger() (*slog.Logger, error) {
	level, err := o.Level()
	if err != nil {
		return nil, err
	}
	return daemon.Logger(os.Stderr, level, o.JSON), nil
}

func newInitCommand(o *Options, program, what string) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: fmt.Sprintf("Keep %q alive, as the first program of a machine", program+" run"),
		Long: fmt.Sprintf(`Keep %q alive and reap orphans, as the first program of a machine or of a container. TERM ends the
%s, and then, where this is process 1, everything.`, program+" run", what),
		Example: "  exec " + program + " init",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := o.Logger()
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find the program %s: %w", program, err)
			}
			args := []string{"run", "--root", o.Root, "--log-level", o.level, fmt.Sprintf("--log-json=%t", o.JSON)}
			return pid1.Run(c.Context(), log, pid1.Config{
				Name: program, Path: strings.TrimSuffix(self, " (deleted)"), Args: args, Env: os.Environ(), // replaced by an upgrade
				StateDir: filepath.Join("/", o.Root, "run/conpaas/init"),
			})
		},
	}
}

func newVersionCommand(program string) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of the program and of the protocol it speaks",
		Example: "  " + program + " version",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s %s (protocol %d)\n", program, daemon.Version, api.Protocol)
			return err
		},
	}
}
