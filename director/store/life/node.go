package life

import (
	"fmt"
	"maps"
	"slices"

	"conpaas/client/api"
)

// NodeEvent is something that happened to a node, or was decided about it.
type NodeEvent string

// The events of a node's life.
const (
	NodeLaunch   NodeEvent = "launch"   // the cloud is about to be asked for a machine: a new attempt
	NodeLaunched NodeEvent = "launched" // the cloud has told the machine's id
	NodeRetry    NodeEvent = "retry"    // the cloud has certainly made no machine; it will be asked again
	NodeJoined   NodeEvent = "joined"   // the machine has its certificate
	NodeReady    NodeEvent = "ready"    // it does what its spec says
	NodeUnready  NodeEvent = "unready"  // it no longer does
	NodeSilent   NodeEvent = "silent"   // nothing has been heard of it for too long
	NodeBack     NodeEvent = "back"     // it is heard of again
	NodeDrain    NodeEvent = "drain"    // it is to take no new work
	NodeDrained  NodeEvent = "drained"  // it has no work left
	NodeVanished NodeEvent = "vanished" // the cloud says that the machine does not exist any more
	NodeGiveUp   NodeEvent = "giveup"   // it has had its time, or the cloud refuses for good
	NodeDelete   NodeEvent = "delete"   // the machine is to be removed
	NodeDeleted  NodeEvent = "deleted"  // the cloud has certainly no machine of this node any more
)

// nodeLife is the whole life of a node. Rows to the same state take note of something without a change:
//   - launched may come late: a machine can join before the cloud's answer is recorded, and a node can be given up or
//     deleted while the call is under way. Its id is recorded in any case, else the machine would be lost.
//   - joined comes again whenever the machine asks for the same answer.
//   - a draining node stays draining, whatever is heard of it.
var nodeLife = map[api.NodeState]map[NodeEvent]api.NodeState{
	api.NodeWanted: {
		NodeLaunch: api.NodeCreating, NodeGiveUp: api.NodeFailed, NodeDelete: api.NodeDeleting,
	},
	api.NodeCreating: {
		NodeLaunched: api.NodeBooting, NodeRetry: api.NodeWanted, NodeJoined: api.NodeJoined,
		NodeGiveUp: api.NodeFailed, NodeDelete: api.NodeDeleting,
	},
	api.NodeBooting: {
		NodeLaunched: api.NodeBooting, NodeJoined: api.NodeJoined,
		NodeVanished: api.NodeFailed, NodeGiveUp: api.NodeFailed, NodeDelete: api.NodeDeleting,
	},
	api.NodeJoined: {
		NodeLaunched: api.NodeJoined, NodeJoined: api.NodeJoined, NodeReady: api.NodeReady, NodeUnready: api.NodeJoined,
		NodeSilent: api.NodeUnreachable, NodeBack: api.NodeJoined, NodeDrain: api.NodeDraining,
		NodeVanished: api.NodeFailed, NodeGiveUp: api.NodeFailed, NodeDelete: api.NodeDeleting,
	},
	api.NodeReady: {
		NodeLaunched: api.NodeReady, NodeJoined: api.NodeReady, NodeReady: api.NodeReady, NodeUnready: api.NodeJoined,
		NodeSilent: api.NodeUnreachable, NodeBack: api.NodeReady, NodeDrain: api.NodeDraining,
		NodeVanished: api.NodeFailed, NodeGiveUp: api.NodeFailed, NodeDelete: api.NodeDeleting,
	},
	api.NodeUnreachable: {
		NodeLaunched: api.NodeUnreachable, NodeJoined: api.NodeJoined, NodeSilent: api.NodeUnreachable, NodeBack: api.NodeJoined,
		NodeDrain: api.NodeDraining, NodeVanished: api.NodeFailed, NodeGiveUp: api.NodeFailed, NodeDelete: api.NodeDeleting,
	},
	api.NodeDraining: {
		NodeLaunched: api.NodeDraining, NodeJoined: api.NodeDraining, NodeReady: api.NodeDraining, NodeUnready: api.NodeDraining,
		NodeSilent: api.NodeDraining, NodeBack: api.NodeDraining, NodeDrain: api.NodeDraining, NodeDrained: api.NodeDraining,
		NodeVanished: api.NodeFailed, NodeGiveUp: api.NodeFailed, NodeDelete: api.NodeDeleting,
	},
	api.NodeFailed: {
		NodeLaunched: api.NodeFailed, NodeVanished: api.NodeFailed, NodeGiveUp: api.NodeFailed, NodeDelete: api.NodeDeleting,
	},
	api.NodeDeleting: {
		NodeLaunched: api.NodeDeleting, NodeDelete: api.NodeDeleting, NodeDeleted: api.NodeGone,
	},
	api.NodeGone: {},
}

// NextNode gives the state that event leads to. It may be the state from itself, when the event is only to be noted.
// The error wraps ErrTransition.
func NextNode(from api.NodeState, event NodeEvent) (api.NodeState, error) {
	to, ok := nodeLife[from][event]
	if !ok {
		return "", fmt.Errorf("node event %s in state %s: %w", event, from, ErrTransition)
	}
	return to, nil
}

// NodeStates gives every state of a node in alphabetical order.
func NodeStates() []api.NodeState { return slices.Sorted(maps.Keys(nodeLife)) }

// NodeEvents gives the events that the state allows, in alphabetical order.
func NodeEvents(from api.NodeState) []NodeEvent { return slices.Sorted(maps.Keys(nodeLife[from])) }
