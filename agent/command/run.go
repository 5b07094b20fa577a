package command

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"conpaas/agent/app"
	"conpaas/agent/host"
	"conpaas/agent/httpapi"
	"conpaas/agent/services"
	"conpaas/client/daemon"
	"conpaas/client/join"
)

// ownLog is the log of the agent itself among those of the programs.
const ownLog = "agent"

func newRunCommand(g *global) *cobra.Command {
	var iface string
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the agent",
		Long: `Run the agent until TERM. The programs that it supervises and the overlay go on after it, and the next agent adopts
them. It logs to standard error and to the log "agent", which can be read like those of the programs.`,
		Example: "  cpsagent run\n  cpsagent run --root /tmp/machine --log-level debug",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return g.run(c.Context(), iface) },
	}
	c.Flags().StringVar(&iface, "interface", app.DefaultInterface, "name of the overlay's network interface")
	return c
}

func (g *global) run(ctx context.Context, iface string) (err error) {
	level, err := g.Level()
	if err != nil {
		return err
	}
	stderr := daemon.Logger(os.Stderr, level, g.JSON)
	h, err := host.Open(host.Options{Root: g.Root, Log: stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	file, err := h.Logs().Writer(ownLog)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	log := daemon.Logger(io.MultiWriter(os.Stderr, file), level, g.JSON)
	bootstrap, err := join.ReadBootstrap(h.State().Path(app.BootstrapFile))
	if err != nil {
		return err
	}
	a, err := app.New(app.Options{Host: h, Log: log, Bootstrap: bootstrap, Services: services.All(), Interface: iface})
	if err != nil {
		return err
	}
	log.Info("agent begins", "version", daemon.Version, daemon.KeyNode, bootstrap.Node)
	return a.Run(ctx, httpapi.New(a, log))
}
