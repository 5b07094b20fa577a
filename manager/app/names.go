package app

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"conpaas/client/api"
)

// nameAddresses is how many addresses a name has at most, those of the oldest machines: with more of them the list would
// change, and go to every machine, whenever one of a large service comes or goes.
const nameAddresses = 16

// names are those of the application's services, the same for all its machines.
type names struct {
	list []api.HostName // by name
	sum  string         // api.SumNames of list
}

// name takes the names of all services from their plans. Of two services whose names become the same one, the older has
// it. A service for which there is no plan now keeps its name as it was.
func (c *core) name(plans []planned) {
	var next names
	for _, p := range plans {
		if !p.wanted {
			continue
		}
		n := api.HostName{Name: api.HostNameOf(p.in.Spec.Name, c.spec.Application.Name)}
		if p.err != nil {
			n.Addresses = c.names.find(n.Name)
		}
		for _, node := range p.in.Nodes {
			if slices.Contains(p.plan.Serve, node.ID) && p.err == nil && len(n.Addresses) < nameAddresses && node.Overlay.IsValid() {
				n.Addresses = append(n.Addresses, node.Overlay)
			}
		}
		if len(n.Addresses) > 0 && next.find(n.Name) == nil {
			next.list = append(next.list, n)
		}
	}
	slices.SortFunc(next.list, func(a, b api.HostName) int { return strings.Compare(a.Name, b.Name) })
	next.sum = api.SumNames(next.list)
	c.names = next
}

func (n names) find(name string) []netip.Addr {
	for _, h := range n.list {
		if h.Name == name {
			return h.Addresses
		}
	}
	return nil
}

// rename gives the call to a node that resolves other names than it should, if one is to be made now. It says in its
// reports which it resolves.
func (c *core) rename(now time.Time, n *node) (call, bool) {
	if n.session == 0 || !n.fresh || n.busy || now.Before(n.retryAt) || c.resolves(n) {
		return call{}, false
	}
	if n.named.sum == c.names.sum && now.Sub(n.named.at) < c.timing.Resend || n.sent.digest == "" && n.applied == "" {
		return call{}, false // it was told a moment ago, or its first spec comes with them
	}
	n.busy = true
	names := &api.Names{Names: append([]api.HostName{}, c.names.list...)} // none is [], not null
	return call{node: n.info.ID, session: n.session, epoch: c.epoch, slow: n.failures > 0, names: names, sum: c.names.sum}, true
}

// resolves tells whether the node resolves the names as they are now, as far as its version can.
func (c *core) resolves(n *node) bool {
	return n.nameless || n.status != nil && n.status.Names == c.names.sum
}
