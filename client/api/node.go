package api

import (
	"net/netip"
	"time"
)

// NodeState is a step of a node's life.
type NodeState string

// The life of a node: wanted, creating, booting, joined, ready, draining, deleting, gone; failed and
// unreachable are side tracks.
const (
	NodeWanted      NodeState = "wanted"      // recorded, nothing asked of the cloud yet
	NodeCreating    NodeState = "creating"    // the cloud has been asked for a machine
	NodeBooting     NodeState = "booting"     // the machine's id is known; waiting for it to join
	NodeJoined      NodeState = "joined"      // it has its certificate
	NodeReady       NodeState = "ready"       // it does what its spec says
	NodeUnreachable NodeState = "unreachable" // it has fallen silent; never by itself gone
	NodeDraining    NodeState = "draining"    // it takes no new work
	NodeDeleting    NodeState = "deleting"    // the cloud has been asked to remove the machine
	NodeGone        NodeState = "gone"        // the machine no longer exists
	NodeFailed      NodeState = "failed"      // it never joined, or its machine died; it is being removed
)

// ManagerRole is the role of the node that manages an application; its service id is 0.
const ManagerRole Role = "manager"

// Node is one machine of an application.
type Node struct {
	ID          NodeID        `json:"id"`
	Application ApplicationID `json:"application"`
	Service     ServiceID     `json:"service" doc:"0 for the manager"`
	Role        Role          `json:"role" doc:"The role the machine was made for"`
	Roles       []Role        `json:"roles,omitempty" doc:"The roles that run on it now"`
	State       NodeState     `json:"state"`
	Reason      string        `json:"reason,omitempty"`
	Since       time.Time     `json:"since"`
	Created     time.Time     `json:"created"`
	Cloud       string        `json:"cloud"`
	Machine     string        `json:"machine,omitempty" doc:"The cloud's id of the machine"`
	Address     string        `json:"address,omitempty" doc:"Address on the cloud's network"`
	Overlay     netip.Addr    `json:"overlay" doc:"Address in the application's overlay network"`
	Runtime     string        `json:"runtime,omitempty" doc:"What the machine is: container, process, vm"`
	DataPlane   string        `json:"data_plane,omitempty" doc:"What carries the overlay: userspace, kernel, none"`
	Attempt     int           `json:"attempt" doc:"Which machine of this node it is, from 1"`
	Version     string        `json:"version,omitempty" doc:"Version of the code it runs"`
	Health      []RoleStatus  `json:"health,omitempty" doc:"What its agent says of its roles; of one node alone, not in lists"`
}

// ExecRequest runs a command on a node, as root, without a shell.
type ExecRequest struct {
	Command []string `json:"command" doc:"Program and arguments"`
	Stdin   []byte   `json:"stdin,omitempty" doc:"At most 512 KiB"`
	Timeout int      `json:"timeout,omitempty" doc:"Seconds; default 60, at most 3600"`
}

// ExecFrame is one piece of a command's output; the last one has Exit or Error.
type ExecFrame struct {
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	Exit   *int   `json:"exit,omitempty" doc:"Exit status; 128+n when signal n ended it"`
	Error  string `json:"error,omitempty" doc:"Why there is no exit status"`
}
