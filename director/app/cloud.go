package app

import (
	"context"
	"maps"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/store"
)

// place gives a configured cloud by name.
func (d *Director) place(name string) (*place, error) {
	p, ok := d.places[name]
	if !ok {
		return nil, api.InField("cloud", "cloud %q is not configured; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(d.places)), ", "))
	}
	return p, nil
}

// Clouds gives the configured clouds. Only an administrator sees their settings.
func (d *Director) Clouds(ctx context.Context, a Actor) ([]api.Cloud, error) {
	var counts map[string]int
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		counts, err = r.CloudCounts()
		return err
	})
	if err != nil {
		return nil, problem(err)
	}
	var out []api.Cloud
	for _, name := range slices.Sorted(maps.Keys(d.places)) {
		p := d.places[name]
		c := api.Cloud{Name: name, Kind: p.kind}
		if a.Admin {
			c.Options, c.Nodes = p.options, counts[name]
			if host, ok := p.provider.(cloud.Host); ok {
				c.Isolation = host.Isolation()
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// Cloud gives one cloud.
func (d *Director) Cloud(ctx context.Context, a Actor, name string) (api.Cloud, error) {
	clouds, err := d.Clouds(ctx, a)
	if err != nil {
		return api.Cloud{}, err
	}
	for _, c := range clouds {
		if c.Name == name {
			return c, nil
		}
	}
	return api.Cloud{}, api.Errorf(api.CodeNotFound, "cloud %q is not configured", name)
}

// CheckCloud tells whether a cloud can be used, finding by finding.
func (d *Director) CheckCloud(ctx context.Context, name string) ([]api.Check, error) {
	p, ok := d.places[name]
	if !ok {
		return nil, api.Errorf(api.CodeNotFound, "cloud %q is not configured", name)
	}
	var checks []api.Check
	err := p.call(ctx, func(ctx context.Context) error {
		checks = p.provider.Check(ctx)
		return nil
	})
	return checks, err
}
