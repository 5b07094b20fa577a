package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"conpaas/client/daemon"
	"conpaas/director/relay"
)

type relayOptions struct {
	dir      string
	listen   string
	public   string
	director string
	address  string
	ca       string
	json     bool
}

func newRelayCommand(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "relay",
		Short: "Relays for machines that do not reach each other",
		Long: `Relays forward the sealed datagrams of machines that do not reach each other; they hold no key of theirs. Every
manager has one, and the director has one as the last resort. More can be run on machines of their own, best on one with a
public address that every cloud reaches: VPN_BOOTSTRAP_NODES in the director's configuration names them.`,
	}
	c.AddCommand(newRelayRunCommand(g), newRelayLineCommand(), newRelayServeCommand(g))
	return c
}

func newRelayRunCommand(g *global) *cobra.Command {
	o := &relayOptions{}
	c := &cobra.Command{
		Use:   "run",
		Short: "Run a relay on a machine of its own",
		Long: `Run a relay on a machine of its own until it is told to stop (SIGINT, SIGTERM). The first start makes its key.

It prints a line for VPN_BOOTSTRAP_NODES in the director's configuration. Once the director has been started with that,
the relay learns from it whom it may serve: the machines of the installation, those of each application among
themselves. While the director is away it goes on; without its line in the configuration it serves nobody.

The file ca.pem is in the director's data folder. UDP must be open to the port of --listen.`,
		Example: "  cpsdirector relay run --listen 0.0.0.0:51822 --public 198.51.100.7:51822 --director https://director.example.org:5555 --ca ca.pem",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), c, g)
		},
	}
	o.where(c)
	c.Flags().StringVar(&o.listen, "listen", "0.0.0.0:51822", "IPv4 `address` and UDP port")
	c.Flags().StringVar(&o.director, "director", "", "`URL` of the director, as in DIRECTOR_URL")
	c.Flags().StringVar(&o.address, "address", "", "`host:port` to dial instead of the host of --director")
	c.Flags().StringVar(&o.ca, "ca", "", "`file` with the director's CA certificate")
	c.Flags().BoolVar(&o.json, "log-json", false, "log JSON instead of text")
	for _, name := range []string{"director", "ca"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // no such flag
		}
	}
	return c
}

// where adds the flags of every relay on a machine of its own.
func (o *relayOptions) where(c *cobra.Command) {
	c.Flags().StringVar(&o.dir, "dir", "/var/lib/cpsrelay", "`folder` of the relay's key and of whom it serves")
	c.Flags().StringVar(&o.public, "public", "", "`address` and UDP port at which machines reach the relay (default: that of --listen)")
}

func (o *relayOptions) run(ctx context.Context, c *cobra.Command, g *global) error {
	listen, err := netip.ParseAddrPort(o.listen)
	if err != nil || !listen.Addr().Is4() {
		return fmt.Errorf("--listen %q: want an IPv4 address and a port, for example 0.0.0.0:51822", o.listen)
	}
	u, err := url.Parse(o.director)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return fmt.Errorf("--director %q: want https://HOST:PORT", o.director)
	}
	text, err := os.ReadFile(o.ca)
	if err != nil {
		return fmt.Errorf("--ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("--ca %s: it holds no certificate; copy ca.pem from the director's data folder", o.ca)
	}
	if o.public == "" {
		o.public = o.listen
	}
	line, err := o.line()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "write this line into VPN_BOOTSTRAP_NODES of the director, and restart it:\n    %s\n", line)
	return relay.Away{
		Log: g.logger(o.json), Dir: o.dir, Listen: listen, Director: "https://" + u.Host, Address: o.address, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13},
	}.Run(ctx)
}

func (o *relayOptions) line() (string, error) {
	public, err := netip.ParseAddrPort(o.public)
	if err != nil || !public.Addr().Is4() || public.Addr().IsUnspecified() {
		return "", fmt.Errorf("--public %q: name the IPv4 address and the port at which machines reach the relay, for example 198.51.100.7:51822", o.public)
	}
	return relay.Line(o.dir, public)
}

func newRelayLineCommand() *cobra.Command {
	o := &relayOptions{}
	c := &cobra.Command{
		Use:     "line",
		Short:   "Print the line of a relay for VPN_BOOTSTRAP_NODES",
		Example: "  cpsdirector relay line --public 198.51.100.7:51822",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			line, err := o.line()
			if err == nil {
				_, err = fmt.Fprintln(c.OutOrStdout(), line)
			}
			return err
		},
	}
	o.where(c)
	return c
}

// newRelayServeCommand is the process that the director starts; nobody types it.
func newRelayServeCommand(g *global) *cobra.Command {
	var dir string
	var sockets int
	c := &cobra.Command{
		Use:    "serve",
		Short:  "Be the director's own relay, with sockets that the director has opened",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return relay.RunOwn(c.Context(), g.logger(false), dir, sockets)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the relay")
	c.Flags().IntVar(&sockets, "sockets", 0, "number of sockets, descriptors from 3 on")
	return c
}

// logger writes to standard error.
func (g *global) logger(json bool) *slog.Logger {
	level := slog.LevelInfo
	if g.debug {
		level = slog.LevelDebug
	}
	return daemon.Logger(os.Stderr, level, json)
}

// relayListen is where the director's own relay is for machines that are not on this host: the UDP port of the number that
// RELAY_PORT says or the director's TCP port has.
func relayListen(director net.Addr, port int) netip.AddrPort {
	at := director.(*net.TCPAddr).AddrPort()
	if port > 0 {
		at = netip.AddrPortFrom(at.Addr(), uint16(port))
	}
	if a := at.Addr().Unmap(); a.Is4() {
		return netip.AddrPortFrom(a, at.Port())
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())
}
