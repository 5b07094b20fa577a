package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"conpaas/certs/mtls"
	"conpaas/client/wire"
	"conpaas/director/app"
	"conpaas/director/httpapi"
	"conpaas/director/store"
)

// gcPercent is how much garbage there may be, in percent of what is in use (GOGC). Most of what a director holds lives as
// long as its connections and changes little: to collect more often is cheap, and saves a quarter of its memory.
const gcPercent = 50

// defaultListen is the port that all of ConPaaS expects a director at.
const defaultListen = ":5555"

type serveOptions struct {
	listen string
	code   string
	json   bool
}

func newServeCommand(g *global) *cobra.Command {
	o := &serveOptions{}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the director",
		Long: `Run the director until it is told to stop (SIGINT, SIGTERM). Machines go on without it.

Without a configuration file it uses the local cloud: machines are containers on this host. Run by an
ordinary user it enters a user namespace for that, and machines are less isolated; it says so in its log,
in cps cloud check and in cps cloud show. The data folder is then ~/.local/share/cpsdirector. The first
start makes the CA, the key file, the database and the user admin in the data folder; the password of
admin is in the file admin-password there.`,
		Example: "  cpsdirector serve --data /var/lib/cpsdirector\n  cpsdirector serve --config /etc/cpsdirector/director.cfg --listen :5555",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return serve(c.Context(), c.OutOrStdout(), g, o) },
	}
	c.Flags().StringVar(&o.listen, "listen", defaultListen, "`address` of the port for users and machines")
	c.Flags().StringVar(&o.code, "code", "", "`folder` with cpsmanager and cpsagent for machines to download (default: that of cpsdirector)")
	c.Flags().BoolVar(&o.json, "log-json", false, "log JSON instead of text")
	return c
}

func serve(ctx context.Context, out io.Writer, g *global, o *serveOptions) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log := g.logger(o.json)
	s, err := g.load(ctx, log)
	if err != nil {
		return err
	}
	// The port is taken first: a director that cannot be reached must not raise the fence.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	defer listener.Close()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if o.code == "" {
		o.code = filepath.Dir(exe)
	}
	var own app.RelayConfig
	if port := s.config.VPN.RelayPort; port >= 0 {
		own = app.RelayConfig{Program: exe, Listen: relayListen(listener.Addr(), port)}
	}
	arch, err := machineArch()
	if err != nil {
		return err
	}
	d, err := app.Open(ctx, app.Config{
		Dir: s.config.Dir, Store: store.Options{Deployment: s.config.Deployment, File: s.config.Database},
		URL: s.url().String(), CodeFrom: o.code, Arch: arch, Plan: s.config.VPN.Plan,
		MaxVMs: s.config.MaxVMs, Relays: s.relays(), Relay: own, Clouds: s.clouds, Timing: s.timing(), Log: log,
		Register: s.config.SelfRegistration, Credit: app.CreditRules{Initial: s.config.InitialCredit, Max: s.config.MaxCredit},
		AuditKeep: s.config.Lives.Audit, VolumeKeep: s.config.Lives.Volume,
		Certificates: app.Certificates{
			Node: s.config.Lives.Node, Grace: s.config.Lives.Grace, Director: s.config.Lives.Director, Authority: s.config.Lives.CA,
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	api := httpapi.New(d, log)
	config := mtls.ServerConfig(d.Certificate())
	served := make(chan error, 1)
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	err = d.Run(stop, func(inside []net.Listener) error {
		listeners := append([]net.Listener{listener}, inside...)
		go func() {
			served <- wire.Serve(stop, log, listeners, config, api.Handler(), d.CA)
			cancel()
		}()
		fmt.Fprintf(out, "director:       %s\nCA fingerprint: %s\n", s.url(), d.Fingerprint())
		fmt.Fprintf(out, "log in with:    cps login %s --username admin --password-file %s --fingerprint %s\n",
			s.url(), filepath.Join(s.config.Dir, "admin-password"), d.Fingerprint())
		return nil
	})
	cancel()
	select {
	case serveErr := <-served:
		err = errors.Join(err, serveErr)
	default:
	}
	return err
}

// machineArch is this machine's architecture as uname -m says: the programs for machines are of the same.
func machineArch() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("architecture of this machine: %w", err)
	}
	return unix.ByteSliceToString(u.Machine[:]), nil
}
