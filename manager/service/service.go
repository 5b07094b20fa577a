// Package service says what the manager half of a service type is: a pure function from what the user wants
// and what the nodes report to the next step, and the pieces that such functions are made of.
//
// # Steps without memory
//
// Plan is called again after every change, and each call looks only at its input. A change that takes several
// steps (new machines ready, then proxies switched, then old machines drained, then removed) is written as one
// description of where things are to end, with the conditions under which each step may be taken:
//
//   - Config.After holds a node's new configuration back until other nodes have applied theirs and are ready:
//     a proxy that is to use new backends comes After them.
//   - Input.Ready and Input.Gone tell what a node has done, for steps that exist only once another one is done: a machine is
//     drained once no proxy uses it, and removed once it is drained.
//   - RoleStatus.Facts carry what the two halves tell each other, for example which servers a proxy uses now.
//
// A half must not take a machine out of use because it is silent or because its newest configuration is not
// applied yet: only what a node says of itself moves a plan on. Whether a silent machine is dead is the director's to say; its
// dead ones are not in the input.
//
// The package knows the types of client/api and nothing of connections, clocks, files or the director.
package service

import "conpaas/client/api"

// Half is the manager half of a service type.
type Half interface {
	// Plan gives the next step for one service. It is pure: the same input gives the same plan, it touches
	// nothing outside, and it never blocks. Its plans pass Check.
	Plan(Input) Plan
}

// Input is all that a plan may depend on.
type Input struct {
	Spec    api.ServiceSpec
	Nodes   []Node // the service's machines that exist or are on their way, oldest first; no dead or deleted ones
	Network api.Network
	Relays  []api.Relay // for the machines of all clouds, see api.RelaysFor
}

// Plan is the next step for one service.
type Plan struct {
	Wanted    map[api.Role]int      // machines per role to exist, those in Drain and Delete not counted
	Nodes     map[api.NodeID]Config // what each node of the input is to be now
	Drain     []api.NodeID          // take no new work and will be in Delete
	Delete    []api.NodeID          // may go: nothing runs on them
	Endpoints []api.Endpoint        // where the users of the service reach it now
	Serve     []api.NodeID          // where the application's other services reach it: what its host name means; see Serving
	State     api.State             // see StateOf
	Reason    string                // why it is in this state, "" when all is well
	Code      *api.CodeStatus       // of the types that run uploaded code
	Commands  *api.CommandStatus    // of the types that have commands
}

// Config is what one node is to be.
type Config struct {
	Roles  []api.RoleSpec // roles that are not listed are stopped
	Expose []uint16       // TCP ports open on the outside
	Blobs  []string       // SHA-256 of the blobs that the roles need
	After  []api.NodeID   // nodes of this service that must be Ready with their own Config before this one goes out
}
