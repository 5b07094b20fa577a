package command

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"conpaas/client/daemon"
	"conpaas/director/app"
	"conpaas/director/cloud"
	"conpaas/director/cloud/local/forward"
	"conpaas/director/relay"
	"conpaas/director/store"
)

func newCloudCommand(g *global) *cobra.Command {
	c := &cobra.Command{Use: "cloud", Short: "The clouds of this host"}
	c.AddCommand(newCloudCleanCommand(g), newCloudForwardCommand(g))
	return c
}

// newCloudForwardCommand is the process that a local cloud starts; nobody types it.
func newCloudForwardCommand(g *global) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:    "forward",
		Short:  "Forward published ports of 127.0.0.1 to machines of a local cloud, whose network is descriptor 3",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(c *cobra.Command, _ []string) error { return forward.Run(c.Context(), g.logger(false), dir) },
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the forwarder")
	return c
}

func newCloudCleanCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "clean [CLOUD]",
		Short: "Remove every trace of a cloud on this host, its machines included",
		Long: `Remove every trace of a local cloud on this host: machines, mounts, network namespaces, cgroups, processes
(the director's relay and the forwarder of published ports too) and files, whatever was killed before. The director must
not be running. Its database stays: applications that are to run get new machines at the next start. An ordinary user's
cloud is cleaned by the same user.`,
		Example: "  cpsdirector cloud clean\n  cpsdirector cloud clean default --data /var/lib/cpsdirector",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			log := daemon.Logger(c.ErrOrStderr(), slog.LevelWarn, false)
			s, err := g.load(c.Context(), log)
			if err != nil {
				return err
			}
			release, err := store.Lock(s.config.Dir)
			if err != nil {
				return err
			}
			defer release()
			// The director's relay has sockets in the networks of clouds, and is started again with them.
			ended, err := relay.Stop(c.Context(), app.RelayDir(s.config.Dir))
			if err != nil {
				return err
			}
			if ended {
				fmt.Fprintln(c.OutOrStdout(), "ended the director's relay")
			}
			found := false
			for _, configured := range s.clouds {
				if len(args) == 1 && configured.Name != args[0] {
					continue
				}
				found = true
				cleaner, ok := configured.Provider.(cloud.Cleaner)
				if !ok {
					if len(args) == 1 {
						return fmt.Errorf("cloud %s is of kind %s and leaves nothing on this host", configured.Name, configured.Kind)
					}
					continue
				}
				report, err := cleaner.Clean(c.Context())
				for _, line := range report {
					fmt.Fprintln(c.OutOrStdout(), line)
				}
				if err != nil {
					return err
				}
			}
			if !found {
				return fmt.Errorf("cloud %q is not configured", args[0])
			}
			for _, leave := range s.leave {
				report, err := leave(c.Context())
				for _, line := range report {
					fmt.Fprintln(c.OutOrStdout(), line)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}
