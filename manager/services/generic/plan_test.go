package generic

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
	"conpaas/manager/service"
)

func node(id api.NodeID, role api.Role, state api.NodeState, facts *api.GenericFacts) service.Node {
	n := service.Node{NodeInfo: api.NodeInfo{ID: id, Role: role, State: state, Key: "key", Overlay: netip.MustParseAddr("10.0.0." + string(id[1:]))}}
	if facts != nil {
		n.Connected, n.Current = true, true
		data, _ := json.Marshal(facts)
		n.Status = &api.NodeStatus{Node: id, Roles: []api.RoleStatus{{Role: role, State: api.RoleReady, Facts: data}}}
	}
	return n
}

func input(nodes ...service.Node) service.Input {
	return service.Input{
		Spec: api.ServiceSpec{
			ID: 1, Type: api.Generic, Nodes: map[api.Role]int{api.RoleMaster: 1, api.RoleNode: 2},
			Code: &api.CodeSpec{Wanted: "code-b", Serving: "code-a", Versions: []api.CodeBlob{{ID: "code-b", SHA256: "b"}, {ID: "code-a", SHA256: "a"}}},
		},
		Nodes: nodes,
	}
}

func configOf(t *testing.T, p service.Plan, id api.NodeID) (c api.GenericConfig) {
	t.Helper()
	if len(p.Nodes[id].Roles) != 1 {
		t.Fatalf("%s has the roles %v", id, p.Nodes[id].Roles)
	}
	if err := json.Unmarshal(p.Nodes[id].Roles[0].Config, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func has(version string, checked ...string) *api.GenericFacts {
	f := &api.GenericFacts{Version: version, Has: []string{api.GenericRun}, Checked: map[string]bool{}}
	for _, v := range checked {
		f.Checked[v] = true
	}
	return f
}

func TestVersion(t *testing.T) {
	refuses := has("code-a", "code-a")
	refuses.Refused = map[string]string{"code-b": "init.sh has failed"}
	for name, c := range map[string]struct {
		nodes                    []service.Node
		version, serves, refused string
	}{
		"nobody has told":    {[]service.Node{node("n1", api.RoleMaster, api.NodeJoined, nil)}, "code-a", "", ""},
		"one lacks it":       {[]service.Node{node("n1", api.RoleMaster, api.NodeReady, has("code-a", "code-b")), node("n2", api.RoleNode, api.NodeReady, has("code-a"))}, "code-a", "code-a", ""},
		"all have it":        {[]service.Node{node("n1", api.RoleMaster, api.NodeReady, has("code-a", "code-b")), node("n2", api.RoleNode, api.NodeReady, has("code-a", "code-b"))}, "code-b", "code-a", ""},
		"one uses it":        {[]service.Node{node("n1", api.RoleMaster, api.NodeReady, has("code-b", "code-b")), node("n2", api.RoleNode, api.NodeReady, has("code-a"))}, "code-b", "", ""},
		"all use it":         {[]service.Node{node("n1", api.RoleMaster, api.NodeReady, has("code-b", "code-b"))}, "code-b", "code-b", ""},
		"one refuses":        {[]service.Node{node("n1", api.RoleMaster, api.NodeReady, has("code-a", "code-b")), node("n2", api.RoleNode, api.NodeReady, refuses)}, "code-a", "code-a", "n2: init.sh has failed"},
		"a machine is lost":  {[]service.Node{node("n1", api.RoleMaster, api.NodeReady, has("code-a", "code-b")), node("n2", api.RoleNode, api.NodeUnreachable, nil)}, "code-a", "", ""},
		"one has not joined": {[]service.Node{node("n1", api.RoleMaster, api.NodeReady, has("code-a", "code-b")), {NodeInfo: api.NodeInfo{ID: "n2", Role: api.RoleNode}}}, "code-b", "code-a", ""},
	} {
		p := Half{}.Plan(input(c.nodes...))
		if got := configOf(t, p, "n1").Version; got != c.version || p.Code.Serving != c.serves || p.Code.Reason != c.refused {
			t.Errorf("%s: %s is used, told is %+v", name, got, p.Code)
		}
	}
}

// The master comes first; a machine that has not taken a version is known to itself alone; one that goes is known to nobody.
func TestMembers(t *testing.T) {
	in := input(
		node("n1", api.RoleNode, api.NodeReady, nil), node("n2", api.RoleMaster, api.NodeReady, has("code-a")),
		node("n3", api.RoleNode, api.NodeJoined, has("")), node("n4", api.RoleNode, api.NodeReady, has("code-a")),
	)
	p := Half{}.Plan(in)
	names := func(id api.NodeID) (out []api.NodeID) {
		for _, m := range configOf(t, p, id).Members {
			out = append(out, m.ID)
		}
		return out
	}
	for id, want := range map[api.NodeID][]api.NodeID{"n1": {"n2", "n1"}, "n2": {"n2", "n1"}, "n3": {"n2", "n1", "n3"}} {
		if diff := cmp.Diff(want, names(id)); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
	if diff := cmp.Diff([]api.NodeID{"n4"}, p.Drain); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]api.NodeID{"n2"}, p.Serve); diff != "" {
		t.Error(diff)
	}
}

func TestCommands(t *testing.T) {
	at := func(number uint64, refusal string) *api.GenericFacts {
		f := has("code-a", "code-a")
		f.Command, f.Refusal = number, refusal
		f.Scripts = map[string]api.GenericScript{api.GenericRun: {Running: refusal == ""}}
		return f
	}
	none := has("code-a", "code-a")
	none.Has = nil
	command := &api.Command{Number: 7, Name: api.GenericRun, Parameters: []string{"x"}, Nodes: []api.NodeID{"n1", "n2"}}
	running := func(ids ...api.NodeID) (out []api.RunningProgram) {
		for _, id := range ids {
			out = append(out, api.RunningProgram{Node: id, Name: "run.sh"})
		}
		return out
	}
	for name, c := range map[string]struct {
		n1, n2 *api.GenericFacts
		want   api.CommandStatus
	}{
		"one is behind":     {at(7, ""), at(6, ""), api.CommandStatus{Running: running("n1", "n2")}},
		"all have begun":    {at(7, ""), at(7, ""), api.CommandStatus{Number: 7, Running: running("n1", "n2")}},
		"one has refused":   {at(7, ""), at(7, "no run.sh"), api.CommandStatus{Number: 7, Refused: "n2: no run.sh", Running: running("n1")}},
		"one is not heard":  {at(7, ""), nil, api.CommandStatus{Running: running("n1")}},
		"there is no run":   {none, none, api.CommandStatus{Lacks: []string{api.GenericRun}}},
		"a later one is on": {at(8, ""), at(8, "no run.sh"), api.CommandStatus{Number: 7, Running: running("n1")}},
	} {
		in := input(node("n1", api.RoleMaster, api.NodeReady, c.n1), node("n2", api.RoleNode, api.NodeReady, c.n2), node("n3", api.RoleNode, api.NodeReady, has("code-a")))
		in.Spec.Command = command
		p := Half{}.Plan(in)
		if diff := cmp.Diff(&c.want, p.Commands); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if got := configOf(t, p, "n1").Command; got == nil || got.Number != 7 || got.Nodes != nil {
			t.Errorf("%s: n1 is told %+v", name, got)
		}
		if got := configOf(t, p, "n3").Command; got != nil {
			t.Errorf("%s: n3 is told %+v", name, got)
		}
	}
	in := input(node("n3", api.RoleMaster, api.NodeReady, has("code-a")))
	in.Spec.Command = command
	if s := (Half{}).Plan(in).Commands; s.Number != 7 || s.Refused == "" {
		t.Errorf("all of its machines are gone: %+v", s)
	}
}
