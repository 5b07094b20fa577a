package hosting

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"conpaas/agent/service"
	"conpaas/client/api"
)

// Each role watches the machines that it uses; a machine does not watch itself.
func TestNeighboursOfRoles(t *testing.T) {
	self := netip.MustParseAddr("10.0.0.1")
	n := service.Node{ID: "n1", Address: self, Active: true}
	server := func(last byte) api.Server {
		return api.Server{Node: api.NodeID("n" + string('0'+rune(last))), Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, last}), 80)}
	}
	store := api.SessionsStore{Listen: netip.AddrPortFrom(self, 6379), Password: "x"}
	proxy := api.HostingProxyConfig{Webs: []api.Server{server(1), server(2)}, Sessions: &store, Holders: []api.LockHolder{{Address: server(3).Address.Addr(), Name: "n3"}}}
	web := api.HostingWebConfig{Backends: []api.Server{server(1), server(3), server(4)}}
	backend := api.HostingBackendConfig{Sessions: api.SessionsStore{Listen: netip.MustParseAddrPort("10.0.0.5:6379")}}
	for name, c := range map[string]struct {
		want   wanted
		others []string
		acts   string // where something else is to be done
	}{
		"nothing":     {wanted{}, nil, ""},
		"a proxy":     {wanted{proxy: &proxy}, []string{"10.0.0.2", "10.0.0.3"}, "10.0.0.3"},
		"a web":       {wanted{web: &web}, []string{"10.0.0.3", "10.0.0.4"}, ""},
		"a backend":   {wanted{backend: &backend}, []string{"10.0.0.5"}, ""},
		"all of them": {wanted{proxy: &proxy, web: &web, backend: &backend}, []string{"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}, "10.0.0.3"},
	} {
		all := newHalf().neighbours(n, c.want)
		var others []string
		for _, a := range slices.SortedFunc(maps.Keys(all), netip.Addr.Compare) {
			others = append(others, a.String())
			if acts := all[a] != nil; acts != (a.String() == c.acts) {
				t.Errorf("%s: of %s something is to be done: %v", name, a, acts)
			}
		}
		if !slices.Equal(others, c.others) {
			t.Errorf("%s watches %v, want %v", name, others, c.others)
		}
	}
}
