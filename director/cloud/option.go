package cloud

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"conpaas/client/api"
)

// Option is one setting of a kind of cloud. Configuration file, pages, command line and documentation are made from it.
type Option struct {
	Name     string // as in the configuration file, upper case
	Help     string // one sentence, with the unit and the form of the value
	Default  string // used when the value is absent or empty
	Secret   bool   // shown as ***
	Required bool   // must be given and not empty
}

// Config is one configured cloud.
type Config struct {
	Name       string            // of the cloud, "default" for the one of [iaas]
	Deployment string            // the installation
	Dir        string            // absolute path; the cloud's own state on this host
	Options    map[string]string // as configured; Driver.Complete checks them
	Overlay    netip.Prefix      // the installation's overlay range, which no cloud's network may overlap
	Log        *slog.Logger
	Program    string // path of cpsdirector; a cloud may run parts of it as processes that outlive the director
	Code       string // folder with the code that machines download, by version; a cloud on this host may show it to them. "" is none

	// Failpoint, where a test sets it, is called with the name of each place where a crash must do no harm.
	Failpoint func(place string)
}

// Driver is a kind of cloud.
type Driver struct {
	Kind    string // for example local, ec2
	Options []Option
	// Open reads the settings and touches nothing outside; a wrong setting is an error of KindPermanent.
	Open func(ctx context.Context, c Config) (Provider, error)
	// Enter, where it is set, brings this process to where clouds with these options can work, before anything in the
	// installation's data directory is opened; it may replace the process by itself. leave, where it is not nil, takes away
	// what Enter made on the host and gives a line for each thing; it is called after the clouds were cleaned.
	Enter func(ctx context.Context, dir string, options map[string]string) (leave func(ctx context.Context) ([]string, error), err error)
}

// Complete checks values against the options of the driver and gives a value for each option, the default where it is
// absent or empty. An unknown name is an error that gives the nearest known one.
func (d Driver) Complete(values map[string]string) (map[string]string, error) {
	full := make(map[string]string, len(d.Options))
	for _, o := range d.Options {
		full[o.Name] = o.Default
		if v := strings.TrimSpace(values[o.Name]); v != "" {
			full[o.Name] = v
		}
		if o.Required && full[o.Name] == "" {
			return nil, fmt.Errorf("option %s of a cloud of kind %s is missing: %s", o.Name, d.Kind, o.Help)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, known := full[name]; !known {
			return nil, fmt.Errorf("a cloud of kind %s has no option %s; the nearest is %s", d.Kind, name, api.Nearest(name, d.names()))
		}
	}
	return full, nil
}

func (d Driver) names() []string {
	names := make([]string, len(d.Options))
	for i, o := range d.Options {
		names[i] = o.Name
	}
	return names
}
