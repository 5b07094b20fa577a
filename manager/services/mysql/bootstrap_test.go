package mysql

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/manager/service"
)

const (
	historyA = "11111111-1111-1111-1111-111111111111"
	historyB = "22222222-2222-2222-2222-222222222222"
)

// node gives a mysql machine whose agent is heard and has applied all that it was sent.
func node(id api.NodeID, facts api.MySQLFacts) service.Node {
	if facts.Knows == nil && facts.State != api.MySQLStateStopped {
		for n := range 9 {
			facts.Knows = append(facts.Knows, netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)}))
		}
	}
	data, _ := json.Marshal(facts)
	state := api.RoleStarting
	if facts.Primary {
		state = api.RoleReady
	}
	return service.Node{
		NodeInfo:  api.NodeInfo{ID: id, Role: api.RoleMySQL, State: api.NodeReady, Key: "k", Overlay: netip.MustParseAddr("10.0.0." + string(id[1:]))},
		Connected: true, Current: true, Serving: true,
		Status: &api.NodeStatus{Node: id, Roles: []api.RoleStatus{{Role: api.RoleMySQL, State: state, Facts: data}}},
	}
}

func waiting(id api.NodeID, position string) service.Node {
	return node(id, api.MySQLFacts{State: api.MySQLStateStarting, Position: position})
}

func changed(n service.Node, change func(*service.Node)) service.Node { change(&n); return n }

func TestWhoBeginsTheCluster(t *testing.T) {
	remainder := func(id api.NodeID, position string, sees int) service.Node {
		return node(id, api.MySQLFacts{State: "Initialized", Position: position, ClusterSize: sees})
	}
	for name, c := range map[string]struct {
		nodes  []service.Node
		halts  api.NodeID
		begins api.NodeID
		number uint64
		from   string
		reason string // a part of it
	}{
		"a new one": {
			nodes:  []service.Node{node("n1", api.MySQLFacts{State: api.MySQLStateStopped, Position: api.MySQLNoData})},
			begins: "n1", number: 1, from: api.MySQLNoData,
		},
		"a number that is new": {
			nodes:  []service.Node{node("n1", api.MySQLFacts{State: api.MySQLStateStarting, Position: historyA + ":4", Bootstraps: 6})},
			begins: "n1", number: 7, from: historyA + ":4",
		},
		"the most advanced":    {nodes: []service.Node{waiting("n1", historyA+":5"), waiting("n2", historyA+":10"), waiting("n3", historyA+":9")}, begins: "n2", number: 1, from: historyA + ":10"},
		"of equals the oldest": {nodes: []service.Node{waiting("n1", historyA+":5"), waiting("n2", historyA+":10"), waiting("n3", historyA+":10")}, begins: "n2", number: 1, from: historyA + ":10"},
		"data before none":     {nodes: []service.Node{waiting("n1", api.MySQLNoData), waiting("n2", historyA+":0")}, begins: "n2", number: 1, from: historyA + ":0"},
		"one is at work":       {nodes: []service.Node{waiting("n1", historyA+":9"), node("n2", api.MySQLFacts{State: "Synced", Primary: true, Position: historyA + ":5"})}},
		"one that would not find it": {
			nodes: []service.Node{node("n1", api.MySQLFacts{State: api.MySQLStateStarting, Position: historyA + ":4", Knows: []netip.Addr{netip.MustParseAddr("10.0.0.9")}}), waiting("n2", historyA+":5")},
			halts: "n1", reason: "n2 begins the cluster when n1 has ended its server",
		},
		"one is silent":           {nodes: []service.Node{waiting("n1", historyA+":5"), changed(waiting("n2", historyA+":4"), func(n *service.Node) { n.Connected = false })}, reason: "n2 is heard"},
		"one has not reported":    {nodes: []service.Node{waiting("n1", historyA+":5"), changed(waiting("n2", ""), func(n *service.Node) { n.Status = &api.NodeStatus{} })}, reason: "n2 has told"},
		"one does not know":       {nodes: []service.Node{waiting("n1", historyA+":5"), waiting("n2", "")}, reason: "n2 knows"},
		"one says nonsense":       {nodes: []service.Node{waiting("n1", historyA+":5"), waiting("n2", historyA+":many")}, reason: "n2 knows"},
		"one begins already":      {nodes: []service.Node{waiting("n1", historyA+":5"), node("n2", api.MySQLFacts{State: api.MySQLStateBeginning, Position: historyA + ":4"})}, reason: "n2 has begun"},
		"one has not applied all": {nodes: []service.Node{waiting("n1", historyA+":5"), changed(waiting("n2", historyA+":4"), func(n *service.Node) { n.Current = false })}, reason: "n2 has applied"},
		"it was asked already":    {nodes: []service.Node{changed(waiting("n1", historyA+":5"), func(n *service.Node) { n.Current = false }), waiting("n2", historyA+":4")}, begins: "n1", number: 1, from: historyA + ":5"},
		"one applies what it has": {nodes: []service.Node{waiting("n1", historyA+":5"), node("n2", api.MySQLFacts{State: "Initialized", Position: historyA + ":4", Queue: 2, ClusterSize: 1})}, reason: "n2 has applied"},
		"two histories":           {nodes: []service.Node{waiting("n1", historyA+":5"), waiting("n2", historyB+":4")}, reason: "different histories"},
		"one has not joined": {
			nodes:  []service.Node{waiting("n1", historyA+":5"), {NodeInfo: api.NodeInfo{ID: "n2", Role: api.RoleMySQL, State: api.NodeBooting, Overlay: netip.MustParseAddr("10.0.0.2")}}},
			reason: "n2 has joined, and told what is on its volume",
		},
		"one is still to be made in the place of a lost one": {nodes: []service.Node{waiting("n1", historyA+":5")}, reason: "all its machines are there, of which 1 are to be made"},

		"what is left of a cluster":  {nodes: []service.Node{remainder("n1", historyA+":5", 2), remainder("n2", historyA+":5", 2)}, begins: "n1", number: 1, from: historyA + ":5"},
		"two that do not see others": {nodes: []service.Node{remainder("n1", historyA+":5", 1), remainder("n2", historyA+":5", 1)}, reason: "does not see"},
		"one that goes has more":     {nodes: []service.Node{waiting("n1", historyA+":5"), changed(waiting("n9", historyA+":6"), func(n *service.Node) { n.State = api.NodeDraining })}, begins: "n9", number: 1, from: historyA + ":6"},
		"one that goes has as much":  {nodes: []service.Node{changed(waiting("n1", historyA+":5"), func(n *service.Node) { n.State = api.NodeDraining }), waiting("n2", historyA+":5")}, begins: "n2", number: 1, from: historyA + ":5"},
	} {
		t.Run(name, func(t *testing.T) {
			in := service.Input{Spec: api.ServiceSpec{ID: 1, Type: api.MySQL, Nodes: map[api.Role]int{api.RoleMySQL: len(c.nodes)}}, Nodes: c.nodes}
			switch {
			case strings.HasPrefix(name, "one that goes"):
				in.Spec.Nodes[api.RoleMySQL]--
			case strings.HasPrefix(name, "one is still to be made"):
				in.Spec.Nodes[api.RoleMySQL]++
			}
			p := Half{}.Plan(in)
			if err := service.Check(in, p); err != nil {
				t.Fatal(err)
			}
			found := map[api.NodeID]api.MySQLConfig{}
			for id, config := range p.Nodes {
				o := decode(config)
				if o.server.Bootstrap > 0 {
					found[id] = *o.server
				}
				if o.server.Halt != (id == c.halts) || o.server.Halt && o.server.Start {
					t.Errorf("%s is told %+v", id, o.server)
				}
			}
			switch got, ok := found[c.begins]; {
			case c.begins == "" && len(found) > 0:
				t.Errorf("%v are to begin", found)
			case c.begins == "":
			case len(found) != 1 || !ok:
				t.Errorf("%v are to begin, want %s: %s", found, c.begins, p.Reason)
			case got.Bootstrap != c.number || got.From != c.from || !got.Start:
				t.Errorf("it begins as %d from %s, want %d from %s", got.Bootstrap, got.From, c.number, c.from)
			}
			if !strings.Contains(p.Reason, c.reason) {
				t.Errorf("the reason is %q, want %q in it", p.Reason, c.reason)
			}
		})
	}
}
