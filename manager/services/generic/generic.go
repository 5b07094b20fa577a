// Package generic is the manager half of the service that runs its owner's scripts: a master and any number of nodes, which differ
// in nothing but their names. Which script runs when on a machine is the agent half's; this half says what all of them must agree on.
//
// # Versions
//
// A version is wanted on every machine beside the one in use, and its init runs there. It is used everywhere once every machine that
// has joined says that its init has not failed, and from then on; a machine whose init has failed refuses it, and the old one goes on.
//
// # Members
//
// A machine is told to the others once it has taken a version: a script that is told of another machine finds it prepared. One that
// falls silent stays a member; only the director says which machines are dead.
//
// # Commands
//
// A command goes to the machines that it names until all of them have said that they have begun or refused it. The number by which
// they know it makes that once for each.
package generic

import (
	"encoding/json"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// Half plans generic services.
type Half struct{}

var _ service.Half = Half{}

// Plan gives the next step for a generic service.
func (Half) Plan(in service.Input) service.Plan {
	f := newFleet(in)
	p := service.Plan{
		Wanted: map[api.Role]int{api.RoleMaster: in.Spec.Nodes[api.RoleMaster], api.RoleNode: in.Spec.Nodes[api.RoleNode]},
		Nodes:  make(map[api.NodeID]service.Config, len(in.Nodes)),
		Code:   f.codeStatus(), Commands: f.commandStatus(),
	}
	var stay, masters []service.Node
	for _, m := range f.stay {
		p.Nodes[m.ID] = f.config(m)
		stay = append(stay, m.Node)
		if m.Role == api.RoleMaster {
			masters = append(masters, m.Node)
		}
	}
	p.Remove(in, f.leave, func(service.Node) service.Config { return service.Config{} })
	p.Serve = service.Serving(masters)
	p.Judge(in, stay)
	return p
}

// config is what a machine is to be.
func (f *fleet) config(m *machine) service.Config {
	c := api.GenericConfig{
		Versions: f.code.Versions, Version: f.version, Members: f.members(m), Env: f.in.Spec.Env,
		Root: f.in.Setting("run_as_root") == api.SwitchOn, Timeout: f.timeout(),
	}
	if command := f.in.Spec.Command; command != nil && slices.Contains(command.Nodes, m.ID) {
		own := *command
		own.Nodes = nil
		c.Command = &own
	}
	data, _ := json.Marshal(c) // a value of this type always has a JSON form
	return service.Config{Roles: []api.RoleSpec{{Role: m.Role, Config: data}}, Blobs: f.blobs()}
}

// members are the machines that a machine is told of, itself among them: the master first, the others by age.
func (f *fleet) members(own *machine) []api.GenericMember {
	all := []api.GenericMember{}
	for _, m := range f.stay {
		if m == own || m.known() {
			all = append(all, api.GenericMember{ID: m.ID, IP: m.Overlay, Role: m.Role})
		}
	}
	return all
}

func (f *fleet) blobs() (out []string) {
	for _, v := range f.code.Versions {
		if v.SHA256 != "" {
			out = append(out, v.SHA256)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
