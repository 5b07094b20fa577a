// Package mysql is the manager half of the service that keeps databases: machines of role mysql have all the data
// (MariaDB with Galera), those of role glb take the connections of programs (HAProxy). While there is no machine of role
// glb at work, the role is packed on every mysql machine.
//
// # When a cluster is begun
//
// A cluster whose machines do not see most of each other takes no changes, and none of its machines may begin another by itself.
// The plan has one do it, and only when all of this is known: every machine that may have data is there (a new one may have the volume
// of one that was lost) and heard, has applied what it was sent,
// takes no changes, does not begin, and has told the position of its data. Then the one that is most advanced begins. A silent
// machine is not taken for dead: the director says which are, and those are not in the input. What a machine is asked has a
// number, one more than what it has said it has begun: so it does nothing twice, and a plan that is made again asks the same.
//
// # Changes of size
//
// Machines join one after another, as there are machines to give them the data. One that goes is no longer given connections first,
// and only goes while one that stays has all the data.
package mysql

import (
	"encoding/json"
	"fmt"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// TCP ports on the overlay address.
const (
	serverPort = 3307
	checkPort  = 9200
)

// passwordSecret is the name of the password of api.MySQLUser among the secrets of the service.
const passwordSecret = "password"

// Half plans mysql services.
type Half struct{}

var _ service.Half = Half{}

// Plan gives the next step for a mysql service.
func (Half) Plan(in service.Input) service.Plan {
	f := newFleet(in)
	p := service.Plan{
		Wanted: map[api.Role]int{api.RoleMySQL: in.Spec.Nodes[api.RoleMySQL], api.RoleGLB: in.Spec.Nodes[api.RoleGLB]},
		Nodes:  make(map[api.NodeID]service.Config, len(in.Nodes)),
	}
	for _, m := range slices.Concat(f.servers.stay, f.proxies.stay) {
		p.Nodes[m.ID] = f.config(m)
	}
	f.release(&p)
	p.Serve = f.serve()
	var stay []service.Node
	for _, m := range slices.Concat(f.servers.stay, f.proxies.stay) {
		stay = append(stay, m.Node)
	}
	p.Judge(in, stay)
	if p.State != api.StateRunning && f.blocked != "" {
		p.Reason = f.blocked
	}
	if full := f.full(); p.State == api.StateRunning && full != "" {
		p.Reason = full
	}
	if p.State == api.StateRunning && f.unfinished {
		p.State, p.Reason = api.StateAdapting, "its machines are changing who takes connections"
	}
	return p
}

// release says what becomes of the machines that go. A database works on until the director has recorded that it goes, one that stays
// has all the data, and no proxy uses it. They end one after another: of two that leave a cluster at once the second may look lost to
// the others, which are not most of the cluster then.
func (f *fleet) release(p *service.Plan) {
	var before []api.NodeID
	for _, m := range slices.Concat(f.servers.leave, f.proxies.leave) {
		rest := service.Config{}
		if m.Role == api.RoleMySQL {
			rest.After = slices.Concat(f.users(m), before)
		}
		if m.Joined() && (!m.Draining() || m.Role == api.RoleMySQL && !f.spared() || m.Role == api.RoleGLB && !f.relieved()) {
			p.Nodes[m.ID] = f.config(m)
			p.Drain = append(p.Drain, m.ID)
			continue
		}
		p.Nodes[m.ID] = rest
		if f.in.Gone(m.Node, rest) {
			p.Delete = append(p.Delete, m.ID)
			continue
		}
		p.Drain = append(p.Drain, m.ID)
		if m.Role == api.RoleMySQL && m.Connected {
			before = append(before, m.ID)
		}
	}
}

// Choose gives the machine that an action is done on: a dump is made by the newest machine that works, which takes no connections
// while there are others, and loaded by the oldest, which takes them all.
func (Half) Choose(in service.Input, action string) (api.NodeID, error) {
	f := newFleet(in)
	usable := choose(f.servers.stay, (*machine).works)
	switch {
	case action != api.MySQLDump && action != api.MySQLLoadDump:
		return "", api.Errorf(api.CodeNotFound, "a service of type %s has no action %.40q; it has %q and %q", api.MySQL, action, api.MySQLDump, api.MySQLLoadDump)
	case len(usable) == 0:
		return "", api.Errorf(api.CodeUnavailable, "no machine of service %s has its database at work now", in.Spec.Name)
	case action == api.MySQLDump:
		return usable[len(usable)-1].ID, nil
	}
	return usable[0].ID, nil
}

func role(r api.Role, config any) api.RoleSpec {
	data, _ := json.Marshal(config) // a value of these types always has a JSON form
	return api.RoleSpec{Role: r, Config: data}
}

// cluster is the name of a service's cluster.
func cluster(id api.ServiceID) string { return fmt.Sprintf("conpaas-%s", id) }
