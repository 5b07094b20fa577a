package command

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"conpaas/client/daemon/pid1"
)

func newInitCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Keep \"cpsmanager run\" alive, as the first program of a machine",
		Long: `Keep "cpsmanager run" alive and reap orphans, as the first program of a machine or of a container. TERM ends the
manager, and then, where this is process 1, everything.`,
		Example: "  exec cpsmanager init",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := g.logger()
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find the program of the manager: %w", err)
			}
			args := []string{"run", "--root", g.root, "--log-level", g.level, fmt.Sprintf("--log-json=%t", g.json)}
			return pid1.Run(c.Context(), log, pid1.Config{
				Name: "cpsmanager", Path: self, Args: args, Env: os.Environ(), StateDir: filepath.Join("/", g.root, "run/conpaas/init"),
			})
		},
	}
}
