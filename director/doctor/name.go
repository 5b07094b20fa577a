package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"conpaas/director/config"
)

// interfaces gives the addresses of this host.
func interfaces() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out, nil
}

// name tells whether the host of DIRECTOR_URL leads here.
func (m machine) name(ctx context.Context, c *config.Config) []Finding {
	host := c.URL.Hostname()
	f := Finding{Check: "name", State: OK}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var found []netip.Addr
	if literal, err := netip.ParseAddr(host); err == nil {
		found = []netip.Addr{literal}
	} else if found, err = m.resolve(ctx, host); err != nil || len(found) == 0 {
		return []Finding{{
			f.Check, Error, fmt.Sprintf("the host of DIRECTOR_URL %s cannot be resolved: %v", c.URL, err),
			"put the name into DNS or /etc/hosts, or set DIRECTOR_URL to one that people and machines can resolve",
		}}
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	f.Detail = fmt.Sprintf("%s is %s", host, join(found))
	overlay := c.VPN.Plan.Prefix()
	if slices.ContainsFunc(found, overlay.Contains) {
		return []Finding{{
			f.Check, Error, fmt.Sprintf("%s, which lies in the overlay network %s of applications: their machines cannot reach it", f.Detail, overlay),
			"give the director another address, or choose another VPN_BASE_NETWORK",
		}}
	}
	own, err := m.addresses()
	here := func(a netip.Addr) bool { return a.IsLoopback() || slices.Contains(own, a) }
	if err == nil && !slices.ContainsFunc(found, here) {
		f.State, f.Detail = Warning, f.Detail+", which is no address of this host"
		f.Remedy = "this is right behind a load balancer or NAT that leads here; otherwise mend DNS, /etc/hosts or DIRECTOR_URL"
	}
	return []Finding{f}
}

func join(list []netip.Addr) string {
	text := make([]string, len(list))
	for i, a := range list {
		text[i] = a.String()
	}
	return strings.Join(text, ", ")
}
