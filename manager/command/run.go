package command

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"conpaas/client/api"
	"conpaas/manager/app"
	"conpaas/manager/overlay"
	"conpaas/manager/service"
	"conpaas/manager/services"
)

// Options are what a manager is started with.
type Options struct {
	Root      string // prefix of all paths
	Interface string // of the overlay's network
	Level     slog.Level
	JSON      bool
	Stderr    io.Writer                        // gets the log too
	Timing    app.Timing                       // zero: app.DefaultTiming
	Halves    map[api.ServiceType]service.Half // nil: those of the program
}

func newRunCommand(g *global) *cobra.Command {
	var iface string
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the manager",
		Long: `Run the manager until TERM. The processes of its overlay go on after it, and the next manager adopts them. It logs
to standard error and to /var/log/conpaas/manager.log.`,
		Example: "  cpsmanager run\n  cpsmanager run --root /tmp/machine --log-level debug",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			level, err := g.Level()
			if err != nil {
				return err
			}
			return Run(c.Context(), Options{Root: g.Root, Interface: iface, Level: level, JSON: g.JSON, Stderr: os.Stderr})
		},
	}
	c.Flags().StringVar(&iface, "interface", overlay.DefaultInterface, "name of the overlay's network interface")
	return c
}

// Run is a whole manager, until ctx ends.
func Run(ctx context.Context, o Options) error {
	if o.Halves == nil {
		o.Halves = services.Halves()
	}
	m, err := open(ctx, o)
	if err != nil {
		return err
	}
	return m.run(ctx)
}
