package command

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"conpaas/agent/host"
	"conpaas/client/daemon/pid1"
)

// initDir is below the run directory.
const initDir = "init"

func newInitCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Keep \"cpsagent run\" alive, as the first program of a machine",
		Long: `Keep "cpsagent run" alive and reap orphans, as the first program of a machine or of a container. TERM ends the
agent, and then, where this is process 1, everything.`,
		Example: "  exec cpsagent init",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := g.logger()
			if err != nil {
				return err
			}
			h, err := host.Open(host.Options{Root: g.root, Log: log})
			if err != nil {
				return err
			}
			defer h.Close()
			if err := h.Run().Mkdir(initDir, 0o700, host.User{}); err != nil {
				return err
			}
			args := []string{"run", "--root", g.root, "--log-level", g.level, fmt.Sprintf("--log-json=%t", g.json)}
			return pid1.Run(c.Context(), log, pid1.Config{
				Name: "cpsagent", Path: h.Self(), Args: args, Env: os.Environ(), StateDir: h.Run().Path(initDir),
			})
		},
	}
}
