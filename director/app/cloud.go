package app

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
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
func (d *Director) Clouds(ctx context.Context, a Actor, p Page) (list api.List[api.Cloud], err error) {
	all, err := d.clouds(ctx, a)
	if err != nil {
		return list, err
	}
	return pageOf(all, p, func(c api.Cloud) string { return c.Name })
}

func (d *Director) clouds(ctx context.Context, a Actor) ([]api.Cloud, error) {
	var counts map[string]int
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		counts, err = r.CloudCounts()
		return err
	})
	if err != nil {
		return nil, problem(err)
	}
	out := []api.Cloud{}
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
	clouds, err := d.clouds(ctx, a)
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
	if image, chosen, looked := d.checkImage(ctx, p); err == nil {
		if err = looked; chosen {
			checks = append(checks, image)
		}
	}
	if err == nil && p.overlayActive() {
		var apart api.Check
		apart, err = d.checkApart(ctx, p)
		checks = append(checks, apart)
	}
	return checks, err
}

// checkApart tells whether the machines of a cloud, and the director as they dial it, have addresses outside of the overlay.
// Machines reach each other's sealed datagrams inside of it too, but nothing else there: the director, the cloud's own
// services.
func (d *Director) checkApart(ctx context.Context, p *place) (api.Check, error) {
	overlay := d.config.Plan.Prefix()
	check := api.Check{Name: "overlay", OK: true, Detail: "the cloud's addresses are apart from " + overlay.String()}
	refuse := func(what string, at netip.Addr) {
		check.OK = false
		check.Detail = fmt.Sprintf("%s has the address %s, which lies in the overlay network %s; give the cloud another network, or choose another VPN_BASE_NETWORK", what, at, overlay)
	}
	if host, _, err := net.SplitHostPort(p.directorAddress()); err == nil {
		if at, err := netip.ParseAddr(host); err == nil && overlay.Contains(at.Unmap()) {
			refuse("the director", at)
		}
	}
	var nodes []store.Node
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		nodes, err = r.NodesOnCloud(p.name)
		return err
	})
	for _, n := range nodes {
		if overlay.Contains(n.Address) {
			refuse("the machine of node "+string(n.ID), n.Address)
		}
	}
	return check, problem(err)
}
