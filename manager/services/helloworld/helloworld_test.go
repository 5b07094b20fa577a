package helloworld

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
	"conpaas/manager/service"
)

func input(count int, nodes ...service.Node) service.Input {
	return service.Input{
		Spec:  api.ServiceSpec{ID: 1, Type: api.Helloworld, Name: "hello", Nodes: map[api.Role]int{api.HelloworldNode: count}},
		Nodes: nodes,
	}
}

func machine(id api.NodeID, last byte) service.Node {
	return service.Node{NodeInfo: api.NodeInfo{
		ID: id, Service: 1, Role: api.HelloworldNode, State: api.NodeReady, Key: "k", Overlay: netip.AddrFrom4([4]byte{172, 16, 0, last}),
	}}
}

// serves gives the machine as it is when it shows its page, or has ended to.
func serves(in service.Input, n service.Node, drained bool) service.Node {
	state := api.RoleReady
	if drained {
		state = api.RoleDrained
	}
	n.Connected, n.Serving = true, !drained
	n.Applied = service.Digest(in.NodeSpec(n, page(in, n, drained)))
	n.Status = &api.NodeStatus{Roles: []api.RoleStatus{{Role: api.HelloworldNode, State: state}}}
	return n
}

func TestPlan(t *testing.T) {
	base := input(0)
	n1, n2, n3 := serves(base, machine("n1", 1), false), serves(base, machine("n2", 2), false), machine("n3", 3)
	drained := serves(base, machine("n2", 2), true)
	booting := service.Node{NodeInfo: api.NodeInfo{ID: "n3", Role: api.HelloworldNode, State: api.NodeBooting}}
	http := func(ids ...api.NodeID) (out []api.Endpoint) {
		for _, id := range ids {
			out = append(out, api.Endpoint{Name: "http", Node: id, Port: 8080})
		}
		return out
	}
	for name, test := range map[string]struct {
		in        service.Input
		drain     []api.NodeID
		delete    []api.NodeID
		endpoints []api.Endpoint
		state     api.State
	}{
		"no machine yet":       {input(1), nil, nil, nil, api.StatePrologue},
		"one":                  {input(1, n1), nil, nil, http("n1"), api.StateRunning},
		"one of two":           {input(2, n1), nil, nil, http("n1"), api.StateAdapting},
		"two, one not ready":   {input(2, n1, n3), nil, nil, http("n1"), api.StateAdapting},
		"one too many":         {input(1, n1, n2), []api.NodeID{"n2"}, nil, http("n1"), api.StateAdapting},
		"drained":              {input(1, n1, drained), nil, []api.NodeID{"n2"}, http("n1"), api.StateAdapting},
		"never joined":         {input(1, n1, booting), nil, []api.NodeID{"n3"}, http("n1"), api.StateAdapting},
		"two go, newest":       {input(1, n1, n2, booting), []api.NodeID{"n2"}, []api.NodeID{"n3"}, http("n1"), api.StateAdapting},
		"more wanted, one new": {input(3, n1, n2, booting), nil, nil, http("n1", "n2"), api.StateAdapting},
	} {
		p := Half{}.Plan(test.in)
		if err := service.Check(test.in, p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(p.Drain, test.drain) || !slices.Equal(p.Delete, test.delete) || p.State != test.state || !slices.Equal(p.Endpoints, test.endpoints) {
			t.Errorf("%s: drain %v, delete %v, endpoints %v, %s (%s)", name, p.Drain, p.Delete, p.Endpoints, p.State, p.Reason)
		}
		if p.Wanted[api.HelloworldNode] != test.in.Spec.Nodes[api.HelloworldNode] {
			t.Errorf("%s: %v wanted", name, p.Wanted)
		}
	}
}

func TestPage(t *testing.T) {
	in := input(1, machine("n1", 1), machine("n2", 2))
	in.Spec.Settings = map[string]string{"greeting": "<b>\"quoted\"\n; drop"}
	p := Half{}.Plan(in)
	for id, drain := range map[api.NodeID]bool{"n1": false, "n2": true} {
		c := p.Nodes[id]
		var got api.HelloworldConfig
		if len(c.Roles) != 1 || c.Roles[0].Role != api.HelloworldNode || !slices.Equal(c.Expose, []uint16{8080}) {
			t.Fatalf("%s is to be %+v", id, c)
		}
		if err := json.Unmarshal(c.Roles[0].Config, &got); err != nil {
			t.Fatal(err)
		}
		want := api.HelloworldConfig{
			Greeting: in.Spec.Settings["greeting"], Node: id, Outside: 8080, Drain: drain,
			Listen: netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 16, 0, id[1] - '0'}), 8080),
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
}
