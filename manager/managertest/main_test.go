package managertest

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"conpaas/client/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// spec is a helloworld service with so many machines, and these nodes.
func spec(revision uint64, count int, nodes ...api.NodeInfo) api.ManagerSpec {
	return api.ManagerSpec{
		Application: api.ApplicationSpec{
			ID: Application, Name: "a", Revision: revision, Network: Network(),
			Services: []api.ServiceSpec{{ID: 1, Type: api.Helloworld, Name: "hello", Nodes: map[api.Role]int{api.HelloworldNode: count}}},
		},
		Nodes: nodes,
	}
}

// serving starts a manager with so many agents that serve.
func serving(t *testing.T, count int) (*Director, *Manager, []*Agent, api.ManagerSpec) {
	t.Helper()
	d := NewDirector(t)
	m := d.StartManager("n1000", Application, Timing())
	var agents []*Agent
	var nodes []api.NodeInfo
	for i := range count {
		a := d.NewAgent(api.NodeID(fmt.Sprintf("n%d", i+1)), Application, 1, i+1)
		agents, nodes = append(agents, a), append(nodes, a.Info)
	}
	s := spec(1, count, nodes...)
	m.Put(s)
	for _, a := range agents {
		a.Connect(m)
	}
	m.Watch()
	m.AwaitSettled(1)
	return d, m, agents, s
}
