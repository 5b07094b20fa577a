package app

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"conpaas/client/api"
)

// nameAddresses is how many addresses a name has at most, those of the oldest machines: with more of them the list would
// change, and go to every machine, whenever one of a large service comes or goes.
const nameAddresses = 16

// names are those of the application's services, the same for all its machines.
type names struct {
	list []api.HostName // by name
	sum  string         // tells lists apart; "": none
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
	if len(next.list) > 0 {
		text, _ := json.Marshal(next.list) // strings and addresses always have a JSON form
		sum := sha256.Sum256(text)
		next.sum = hex.EncodeToString(sum[:])
	}
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

// rename gives the call to a node that has other names than it should have.
func (c *core) rename(n *node, made call) (call, bool) {
	if n.synced.names == c.names.sum {
		return call{}, false
	}
	made.names = &api.Names{Names: append([]api.HostName{}, c.names.list...)} // none is [], not null
	n.busy = true
	return made, true
}
