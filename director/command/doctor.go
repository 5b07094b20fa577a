package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"conpaas/client/daemon"
	"conpaas/director/app"
	"conpaas/director/config"
	"conpaas/director/doctor"
)

type doctorOptions struct {
	listen string
	output string
}

func newDoctorCommand(g *global) *cobra.Command {
	o := &doctorOptions{}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong, or soon will be, with this host",
		Long: `Look for what is wrong, or soon will be, with this host as the home of a director: its configuration, data
folder, disk, clock, database and key file, the CA, the name in DIRECTOR_URL, ports, the certificate that is
shown, and what each cloud needs. Each finding is ok, a warning or an error, and the last two have a remedy.

It works while the director serves and while it does not, and changes nothing. Run it as the user that the
director runs as, with the same --config, --data and --listen. An ordinary user's enters the user namespace
of the clouds as serve does, and makes it where there is none.

Exit codes: 0 there is no error (there may be warnings), 1 there is an error.`,
		Example: "  cpsdirector doctor\n  cpsdirector doctor --data /var/lib/cpsdirector --listen :5555 -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), g)
		},
	}
	c.Flags().StringVar(&o.listen, "listen", defaultListen, "`address` of the director's port for users and machines")
	c.Flags().StringVarP(&o.output, "output", "o", "table", "`format`: table or json")
	return c
}

func (o *doctorOptions) run(ctx context.Context, out, errout io.Writer, g *global) error {
	if o.output != "table" && o.output != "json" {
		return fmt.Errorf("--output %q: want table or json", o.output)
	}
	findings := g.examine(ctx, daemon.Logger(errout, slog.LevelError, false), o.listen)
	if err := o.print(out, findings); err != nil {
		return err
	}
	if doctor.Worst(findings) == doctor.Error {
		return errors.New("there are errors; each has its remedy beside it")
	}
	return nil
}

// examine makes all checks that the configuration lets it make.
func (g *global) examine(ctx context.Context, log *slog.Logger, listen string) []doctor.Finding {
	s, err := g.load(ctx, log)
	if err != nil {
		c, wrong := g.read()
		if wrong != nil {
			return []doctor.Finding{{Check: "configuration", State: doctor.Error, Detail: wrong.Error(), Remedy: "mend it, and look with cpsdirector config check"}}
		}
		s = &setup{config: c}
	}
	findings := configuration(s.config, err)
	host := doctor.Host{Config: s.config, Listen: listen, RelayDir: app.RelayDir(s.config.Dir)}
	if at, err := net.ResolveTCPAddr("tcp", listen); err != nil {
		findings = append(findings, doctor.Finding{Check: "port", State: doctor.Error, Detail: err.Error(), Remedy: "give --listen host:port"})
	} else if port := s.config.VPN.RelayPort; port >= 0 {
		host.Relay = relayListen(at, port)
	}
	for _, c := range s.clouds {
		host.Clouds = append(host.Clouds, doctor.Cloud{Name: c.Name, Check: c.Provider.Check})
	}
	return append(findings, doctor.Look(ctx, host)...)
}

// configuration tells what is to be said of a configuration that could be read; err is what its clouds say.
func configuration(c *config.Config, err error) []doctor.Finding {
	if err != nil {
		return []doctor.Finding{{Check: "clouds", State: doctor.Error, Detail: err.Error(), Remedy: "mend the settings of this cloud, or the host; no cloud could be looked at"}}
	}
	findings := []doctor.Finding{{Check: "configuration", State: doctor.OK, Detail: "right"}}
	if c.File == "" {
		findings[0].Detail = "there is no file; defaults are in force, with the local cloud"
	}
	for _, note := range c.Notes {
		findings = append(findings, doctor.Finding{Check: "configuration", State: doctor.Warning, Detail: note, Remedy: "change " + c.File})
	}
	return findings
}

func (o *doctorOptions) print(out io.Writer, findings []doctor.Finding) error {
	if o.output == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(findings)
	}
	for _, f := range findings {
		if _, err := fmt.Fprintf(out, "%-7s  %s: %s\n", f.State, f.Check, f.Detail); err != nil {
			return err
		}
		if f.Remedy != "" {
			fmt.Fprintf(out, "         -> %s\n", f.Remedy)
		}
	}
	return nil
}
