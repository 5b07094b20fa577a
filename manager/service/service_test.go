package service

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conpaas/client/api"
)

// node gives a machine that has joined, in a state.
func node(id api.NodeID, role api.Role, state api.NodeState) Node {
	return Node{NodeInfo: api.NodeInfo{ID: id, Role: role, State: state, Key: "k"}}
}

// obeying gives n as it is when it has applied c, its roles in these states in the order of c.
func obeying(in Input, n Node, c Config, states ...api.RoleState) Node {
	n.Connected, n.Applied, n.Status = true, Digest(in.NodeSpec(n, c)), &api.NodeStatus{Node: n.ID}
	for i, r := range c.Roles {
		n.Status.Roles = append(n.Status.Roles, api.RoleStatus{Role: r.Role, State: states[i]})
	}
	return n
}

func names(nodes []Node) []api.NodeID {
	var out []api.NodeID
	for _, n := range nodes {
		out = append(out, n.ID)
	}
	return out
}

func TestByAge(t *testing.T) {
	got := []api.NodeID{"n10", "n9", "x", "n1", "n100", "n2"}
	slices.SortFunc(got, ByAge)
	if want := []api.NodeID{"x", "n1", "n2", "n9", "n10", "n100"}; !slices.Equal(got, want) {
		t.Errorf("by age %v, want %v", got, want)
	}
}

func TestSelect(t *testing.T) {
	nodes := []Node{
		node("n1", "a", api.NodeReady), node("n2", "b", api.NodeReady), node("n3", "a", api.NodeDraining),
		node("n4", "a", api.NodeReady), node("n5", "a", api.NodeUnreachable), node("n6", "a", api.NodeWanted),
	}
	for _, test := range []struct {
		role        api.Role
		count       int
		stay, leave []api.NodeID
	}{
		{"a", 0, nil, []api.NodeID{"n1", "n3", "n4", "n5", "n6"}},
		{"a", 1, []api.NodeID{"n1"}, []api.NodeID{"n3", "n4", "n5", "n6"}},
		{"a", 3, []api.NodeID{"n1", "n4", "n5"}, []api.NodeID{"n3", "n6"}},
		{"a", 9, []api.NodeID{"n1", "n4", "n5", "n6"}, []api.NodeID{"n3"}},
		{"b", 1, []api.NodeID{"n2"}, nil},
		{"c", 1, nil, nil},
	} {
		stay, leave := Select(nodes, test.role, test.count)
		if !slices.Equal(names(stay), test.stay) || !slices.Equal(names(leave), test.leave) {
			t.Errorf("%d of role %s: stay %v, leave %v; want %v and %v", test.count, test.role, names(stay), names(leave), test.stay, test.leave)
		}
	}
}

func TestReadyAndGone(t *testing.T) {
	in := Input{Spec: api.ServiceSpec{ID: 1, Type: "x"}}
	c := Config{Roles: []api.RoleSpec{{Role: "a"}, {Role: "b"}}}
	n := node("n1", "a", api.NodeReady)
	change := func(n Node, f func(*Node)) Node { f(&n); return n }
	good := obeying(in, n, c, api.RoleReady, api.RoleReady)
	for name, test := range map[string]struct {
		n           Node
		config      Config
		ready, gone bool
	}{
		"ready":              {good, c, true, false},
		"starting":           {obeying(in, n, c, api.RoleReady, api.RoleStarting), c, false, false},
		"failed":             {obeying(in, n, c, api.RoleReady, api.RoleFailed), c, false, false},
		"drained":            {obeying(in, n, c, api.RoleDrained, api.RoleDrained), c, false, true},
		"half drained":       {obeying(in, n, c, api.RoleDrained, api.RoleReady), c, false, false},
		"nothing to run":     {obeying(in, n, Config{}), Config{}, true, true},
		"never joined":       {Node{NodeInfo: api.NodeInfo{ID: "n1", State: api.NodeBooting}}, c, false, true},
		"silent":             {change(good, func(n *Node) { n.Connected = false }), c, false, false},
		"silent and drained": {change(obeying(in, n, Config{}), func(n *Node) { n.Connected = false }), Config{}, false, false},
		"not reported":       {change(good, func(n *Node) { n.Status = nil }), c, false, false},
		"error":              {change(good, func(n *Node) { s := *n.Status; s.Error = "x"; n.Status = &s }), c, false, false},
		"another config":     {good, Config{Roles: c.Roles, Expose: []uint16{1}}, false, false},
		"a role is missing":  {change(good, func(n *Node) { s := *n.Status; s.Roles = s.Roles[:1]; n.Status = &s }), c, false, false},
		"a role is left": {change(obeying(in, n, Config{}), func(n *Node) {
			n.Status.Roles = []api.RoleStatus{{Role: "a", State: api.RoleReady}}
		}), Config{}, true, false},
	} {
		if got := in.Ready(test.n, test.config); got != test.ready {
			t.Errorf("%s: ready %v", name, got)
		}
		if got := in.Gone(test.n, test.config); got != test.gone {
			t.Errorf("%s: gone %v", name, got)
		}
	}
}

func TestDigest(t *testing.T) {
	a := api.NodeSpec{Node: "n1", Revision: 1, Roles: []api.RoleSpec{{Role: "a", Config: api.RawJSON(`{"x": 1}`)}}}
	b := a
	b.Revision, b.Overlay.Version, b.Overlay.Full, b.Overlay.Peers = 2, 7, true, []api.Peer{{Node: "n2"}}
	b.Roles = []api.RoleSpec{{Role: "a", Config: api.RawJSON(`{"x":1}`)}}
	if Digest(a) == "" || Digest(a) != Digest(b) {
		t.Errorf("revision, peers and blanks make a difference")
	}
	b.Roles = []api.RoleSpec{{Role: "a", Config: api.RawJSON(`{"x":2}`)}}
	if Digest(a) == Digest(b) {
		t.Errorf("a configuration makes no difference")
	}
	b.Roles = []api.RoleSpec{{Role: "a", Config: api.RawJSON(`{`)}}
	if Digest(b) != "" {
		t.Errorf("what is no JSON has a digest")
	}
}

func TestSetting(t *testing.T) {
	in := Input{Spec: api.ServiceSpec{Type: api.Helloworld}}
	if got := in.Setting("greeting"); got != "Hello, world" {
		t.Errorf("the default is %q", got)
	}
	in.Spec.Settings = map[string]string{"greeting": ""}
	if got := in.Setting("greeting") + in.Setting("other"); got != "" {
		t.Errorf("what is set to nothing is %q", got)
	}
}

func TestJudge(t *testing.T) {
	in := Input{Spec: api.ServiceSpec{ID: 1}}
	c := Config{Roles: []api.RoleSpec{{Role: "a"}}}
	booting := Node{NodeInfo: api.NodeInfo{ID: "n1", Role: "a", State: api.NodeBooting}}
	ready := obeying(in, node("n2", "a", api.NodeReady), c, api.RoleReady)
	ready.Serving = true
	silent := node("n3", "a", api.NodeUnreachable)
	failed := obeying(in, node("n4", "a", api.NodeJoined), c, api.RoleFailed)
	failed.Status.Roles[0].Reason = "no port"
	for name, test := range map[string]struct {
		wanted int
		stay   []Node
		drain  []api.NodeID
		state  api.State
		reason string
	}{
		"nothing yet":        {1, nil, nil, api.StatePrologue, "0 of 1 machines ready"},
		"on its way":         {1, []Node{booting}, nil, api.StatePrologue, "0 of 1 machines ready"},
		"runs":               {1, []Node{ready}, nil, api.StateRunning, ""},
		"grows":              {2, []Node{ready, booting}, nil, api.StateAdapting, "1 of 2 machines ready"},
		"shrinks":            {1, []Node{ready}, []api.NodeID{"n9"}, api.StateAdapting, "1 of 1 machines ready, 1 leaving"},
		"one is missing":     {2, []Node{ready}, nil, api.StateAdapting, "1 of 2 machines ready"},
		"one of two failed":  {2, []Node{ready, failed}, nil, api.StateAdapting, "n4: role a: no port"},
		"the only one fails": {1, []Node{failed}, nil, api.StateError, "n4: role a: no port"},
		"all are silent":     {1, []Node{silent}, nil, api.StateError, "none of its machines answers (0 of 1 machines ready)"},
	} {
		p := Plan{Wanted: map[api.Role]int{"a": test.wanted}, Nodes: map[api.NodeID]Config{}, Drain: test.drain}
		for _, n := range test.stay {
			p.Nodes[n.ID] = c
		}
		p.Judge(in, test.stay)
		if p.State != test.state || p.Reason != test.reason {
			t.Errorf("%s: %s %q, want %s %q", name, p.State, p.Reason, test.state, test.reason)
		}
	}
}

func TestCheck(t *testing.T) {
	in := Input{Spec: api.ServiceSpec{ID: 1}, Nodes: []Node{node("n1", "a", api.NodeReady), node("n2", "a", api.NodeReady)}}
	good := func() Plan {
		return Plan{Wanted: map[api.Role]int{"a": 1}, Nodes: map[api.NodeID]Config{"n1": {}, "n2": {After: []api.NodeID{"n1"}}}, Drain: []api.NodeID{"n2"}}
	}
	if err := Check(in, good()); err != nil {
		t.Errorf("a good plan: %v", err)
	}
	for want, spoil := range map[string]func(*Plan){
		"says nothing of node n2":         func(p *Plan) { delete(p.Nodes, "n2") },
		"node n3, which is not one":       func(p *Plan) { p.Nodes["n3"] = Config{} },
		"is not JSON":                     func(p *Plan) { p.Nodes["n1"] = Config{Roles: []api.RoleSpec{{Config: api.RawJSON("{")}}} },
		"n1 waits for n3":                 func(p *Plan) { p.Nodes["n1"] = Config{After: []api.NodeID{"n3"}} },
		"waits for itself":                func(p *Plan) { p.Nodes["n1"] = Config{After: []api.NodeID{"n2"}} },
		"wants -1 machines":               func(p *Plan) { p.Wanted["a"] = -1 },
		"endpoint http is on node n3":     func(p *Plan) { p.Endpoints = []api.Endpoint{{Name: "http", Node: "n3"}} },
		"removes node n3":                 func(p *Plan) { p.Drain = []api.NodeID{"n3"} },
		"removes node n2 twice":           func(p *Plan) { p.Delete = []api.NodeID{"n2"} },
		"deletes node n1, which is not d": func(p *Plan) { p.Delete = []api.NodeID{"n1"} },
	} {
		p := good()
		spoil(&p)
		if err := Check(in, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// Nodes that wait for each other are found in whatever order, and nothing else is.
func TestCheckFindsEveryCircle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 8).Draw(t, "nodes")
		in, p := Input{}, Plan{Nodes: map[api.NodeID]Config{}}
		for i := range count {
			id := api.NodeID(fmt.Sprintf("n%d", i))
			in.Nodes = append(in.Nodes, node(id, "a", api.NodeReady))
			var c Config
			for _, before := range rapid.SliceOfNDistinct(rapid.IntRange(0, count-1), 0, 3, rapid.ID).Draw(t, "after") {
				c.After = append(c.After, api.NodeID(fmt.Sprintf("n%d", before)))
			}
			p.Nodes[id] = c
		}
		// By taking away, again and again, who waits for nobody.
		left := map[api.NodeID]bool{}
		for id := range p.Nodes {
			left[id] = true
		}
		for range count {
			for id := range left {
				if !slices.ContainsFunc(p.Nodes[id].After, func(o api.NodeID) bool { return left[o] }) {
					delete(left, id)
				}
			}
		}
		if err := Check(in, p); (err == nil) != (len(left) == 0) {
			t.Fatalf("%v, left %v", err, left)
		}
	})
}

func TestRemove(t *testing.T) {
	in := Input{}
	drained := func(Node) Config { return Config{} }
	working, done := node("n1", "a", api.NodeReady), obeying(in, node("n2", "a", api.NodeDraining), Config{})
	p := Plan{Nodes: map[api.NodeID]Config{}}
	p.Remove(in, []Node{working, done}, drained)
	if diff := cmp.Diff(Plan{Nodes: map[api.NodeID]Config{"n1": {}, "n2": {}}, Drain: []api.NodeID{"n1"}, Delete: []api.NodeID{"n2"}}, p); diff != "" {
		t.Error(diff)
	}
}
