package command_test

import (
	"encoding/json"

	"conpaas/client/api"
)

// addGeneric makes the service jobs of application shop, whose machine has run a script that has failed.
func (f *fake) addGeneric() {
	facts, _ := json.Marshal(api.GenericFacts{
		Version: "code-abc234", Has: []string{api.GenericInit, api.GenericRun, api.GenericCleanup}, Command: 3,
		Scripts: map[string]api.GenericScript{
			api.GenericInit: {Begun: begun},
			api.GenericRun:  {Begun: begun, Exit: 137, Reason: "it was killed by a second interrupt", Words: hostile},
		},
	})
	f.services = append(f.services, api.Service{
		ID: 8, Application: 1, Type: api.Generic, Name: "jobs", Cloud: "default", State: api.StateRunning, Since: begun, Created: begun,
		Nodes: map[api.Role]int{api.RoleMaster: 1, api.RoleNode: 0}, Ready: 1, Machines: 1, Settings: map[string]string{"run_as_root": "Off", "script_timeout": "0"},
	})
	f.nodes = append(f.nodes, api.Node{
		ID: "n8", Application: 1, Service: 8, Role: api.RoleMaster, State: api.NodeReady, Cloud: "default", Since: begun, Created: begun,
		Health: []api.RoleStatus{{Role: api.RoleMaster, State: api.RoleReady, Facts: facts}},
	})
}
