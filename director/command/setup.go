package command

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/cloud"
	"conpaas/director/cloud/all"
	"conpaas/director/cloud/local"
	"conpaas/director/config"
)

// setup is the checked configuration and the clouds that it names.
type setup struct {
	config *config.Config
	clouds []app.Cloud
	leave  []func(context.Context) ([]string, error) // after the clouds were cleaned
}

// load reads the configuration, brings the process to where its clouds can work (which may replace it by itself), and
// opens the clouds' settings; nothing else is touched outside.
func (g *global) load(ctx context.Context, log *slog.Logger) (*setup, error) {
	c, err := g.read()
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &setup{config: c}
	drivers := all.Drivers()
	for _, configured := range c.Clouds {
		enter := drivers[configured.Kind].Enter
		if enter == nil {
			continue
		}
		leave, err := enter(ctx, c.Dir, configured.Options)
		if err != nil {
			return nil, fmt.Errorf("cloud %s: %w", configured.Name, err)
		}
		if leave != nil {
			s.leave = append(s.leave, leave)
		}
	}
	for _, note := range c.Notes {
		log.Warn(note)
	}
	for _, configured := range c.Clouds {
		driver := drivers[configured.Kind]
		options, err := driver.Complete(configured.Options)
		if err != nil {
			return nil, fmt.Errorf("cloud %s: %w", configured.Name, err)
		}
		provider, err := driver.Open(ctx, cloud.Config{
			Name: configured.Name, Deployment: c.Deployment, Dir: filepath.Join(c.Dir, "clouds", configured.Name),
			Options: options, Overlay: c.VPN.Plan.Prefix(), Log: log.With("cloud", configured.Name), Program: exe, Code: app.CodeDir(c.Dir),
		})
		if err != nil {
			return nil, err
		}
		s.clouds = append(s.clouds, app.Cloud{
			Name: configured.Name, Kind: configured.Kind, Options: configured.Shown(), Address: configured.DirectorAddress, MaxVMs: configured.MaxVMs, Provider: provider,
		})
	}
	return s, nil
}

// read reads and checks the configuration.
func (g *global) read() (*config.Config, error) {
	kinds := make(map[string][]cloud.Option)
	for name, driver := range all.Drivers() {
		kinds[name] = driver.Options
	}
	return config.Load(g.config, config.Options{Kinds: kinds, Dir: g.data})
}

// timing is shorter where every machine is on this host. A virtual machine takes its time to boot all the same, where its
// processor is emulated.
func (s *setup) timing() app.Timing {
	t := app.Timing{Boot: 2 * time.Minute, Replace: time.Minute, Stray: 20 * time.Second, Sweep: 5 * time.Second}
	for _, c := range s.config.Clouds {
		switch {
		case c.Kind != "local":
			return app.Timing{}
		case c.Options["RUNTIME"] == local.RuntimeVM:
			t.Boot = 0
		}
	}
	return t
}

func (s *setup) url() *url.URL { return s.config.URL }

// relays are the bootstrap nodes of the overlay.
func (s *setup) relays() []api.Relay {
	var relays []api.Relay
	for _, n := range s.config.VPN.Bootstrap {
		relays = append(relays, api.Relay{Name: n.Endpoint.String(), Key: n.Key, Endpoint: n.Endpoint})
	}
	return relays
}
