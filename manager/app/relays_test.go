package app

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"conpaas/client/api"
)

// Machines of the manager's own cloud reach its relay at its address there, others at its public one; each reaches the
// director where its cloud does. The order is that of preference.
func TestRelaysByCloud(t *testing.T) {
	at := netip.MustParseAddrPort
	bootstrap := api.Relay{Name: "198.51.100.7:51822", Key: "b", Endpoint: at("198.51.100.7:51822")}
	c := &core{
		relay: &api.Relay{Name: "manager", Key: "m", Endpoint: at("10.0.0.5:51821")},
		spec: &api.ManagerSpec{Cloud: "east", Public: netip.MustParseAddr("203.0.113.5"), Relays: []api.Relay{
			bootstrap,
			{Name: "director", Key: "d", Endpoint: at("10.210.0.1:5555"), Cloud: "local"},
			{Name: "director", Key: "d", Endpoint: at("192.0.2.9:5555"), Cloud: "west"},
		}},
	}
	for cloud, want := range map[string][]api.Relay{
		"east":  {{Name: "manager", Key: "m", Endpoint: at("10.0.0.5:51821")}, bootstrap},
		"west":  {{Name: "manager", Key: "m", Endpoint: at("203.0.113.5:51821")}, bootstrap, {Name: "director", Key: "d", Endpoint: at("192.0.2.9:5555")}},
		"local": {{Name: "manager", Key: "m", Endpoint: at("203.0.113.5:51821")}, bootstrap, {Name: "director", Key: "d", Endpoint: at("10.210.0.1:5555")}},
	} {
		if d := cmp.Diff(want, api.RelaysFor(cloud, c.relays()), cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
			t.Errorf("cloud %s (-want +got):\n%s", cloud, d)
		}
	}
	c.spec.Public = netip.Addr{}
	if got := api.RelaysFor("west", c.relays())[0]; got.Endpoint != c.relay.Endpoint {
		t.Errorf("without a public address the relay is at %s, want %s", got.Endpoint, c.relay.Endpoint)
	}
}
