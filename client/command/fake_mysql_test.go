package command_test

import (
	"encoding/json"

	"conpaas/client/api"
)

// addMySQL makes the service db of application shop: two databases, one of which does not answer, a machine that only spreads
// connections, and one that goes between the list and a look at it.
func (f *fake) addMySQL() {
	facts, _ := json.Marshal(api.MySQLFacts{
		Position: "0a1b:42", State: "Synced", Primary: true, ClusterSize: 2, ClusterUUID: "0a1b", Queue: 1, Queries: 12345, Bootstraps: 1, Free: 7 << 20,
	})
	drained := func(r api.Role) api.RoleStatus { return api.RoleStatus{Role: r, State: api.RoleDrained} }
	f.services = append(f.services, api.Service{
		ID: 9, Application: 1, Type: api.MySQL, Name: "db", Cloud: "default", State: api.StateRunning, Since: begun, Created: begun,
		Nodes: map[api.Role]int{api.RoleMySQL: 2, api.RoleGLB: 1}, Ready: 3, Machines: 3,
	})
	node := func(id api.NodeID, role api.Role, state api.NodeState, health ...api.RoleStatus) {
		f.nodes = append(f.nodes, api.Node{ID: id, Application: 1, Service: 9, Role: role, State: state, Cloud: "default", Since: begun, Created: begun, Health: health})
	}
	node("n9", api.RoleMySQL, api.NodeReady, api.RoleStatus{Role: api.RoleMySQL, State: api.RoleReady, Facts: facts}, drained(api.RoleGLB))
	node("n10", api.RoleMySQL, api.NodeReady, api.RoleStatus{Role: api.RoleMySQL, State: api.RoleFailed, Reason: "it does not answer"}, drained(api.RoleGLB))
	node("n11", api.RoleGLB, api.NodeReady, drained(api.RoleMySQL), api.RoleStatus{Role: api.RoleGLB, State: api.RoleReady})
	node("n12", api.RoleMySQL, api.NodeGone, api.RoleStatus{Role: api.RoleMySQL, State: api.RoleReady, Facts: facts})
}
