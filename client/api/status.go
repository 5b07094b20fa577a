package api

import "encoding/json"

// RawJSON is a JSON document that this layer carries unread.
type RawJSON = json.RawMessage

// RoleState is where a role on a node stands.
type RoleState string

// The states of a role on a node.
const (
	RoleStarting RoleState = "starting" // applying, not serving yet
	RoleReady    RoleState = "ready"    // serves what the spec says
	RoleDrained  RoleState = "drained"  // serves nothing any more
	RoleFailed   RoleState = "failed"   // Reason says why; the agent goes on trying
)

// RoleStatus is one role on one node.
type RoleStatus struct {
	Role   Role      `json:"role"`
	State  RoleState `json:"state"`
	Reason string    `json:"reason,omitempty" doc:"With the last lines of the failing program"`
	PIDs   []int     `json:"pids,omitempty" doc:"Of the programs that the agent supervises, inside the machine"`
	Facts  RawJSON   `json:"facts,omitempty" doc:"What the service type's two halves tell each other"`
}

// NodeStatus is what an agent says of its node. Applied is the Revision of the last NodeSpec that was applied.
type NodeStatus struct {
	Node        NodeID       `json:"node"`
	BootID      string       `json:"boot_id"`
	Version     string       `json:"version"`
	Applied     uint64       `json:"applied"`
	Error       string       `json:"error,omitempty" doc:"Why the newest spec is not applied"`
	Roles       []RoleStatus `json:"roles,omitempty"`
	DataPlane   string       `json:"data_plane"`
	Overlay     []PeerStatus `json:"overlay,omitempty"`
	Lacks       []string     `json:"lacks,omitempty" doc:"SHA-256 of the blobs that are missing"`
	Trust       string       `json:"trust,omitempty" doc:"Name of the CA certificates that it trusts and of the one that has signed its own; see ManagerSpec"`
	Startup     string       `json:"startup,omitempty" doc:"Startup.Sum of the script that runs, or has failed; the roles wait for it"`
	Names       string       `json:"names,omitempty" doc:"SumNames of those that the node resolves"`
	Volumes     []VolumeID   `json:"volumes,omitempty" doc:"That its agent has mounted, so that they must not be taken from it"`
	Fingerprint string       `json:"fingerprint,omitempty" doc:"SHA-256 of the applied NodeSpec without Revision, so that a new manager knows whether to push"`
}

// ServiceStatus is what a manager says of one service.
type ServiceStatus struct {
	Service   ServiceID      `json:"service"`
	State     State          `json:"state"`
	Reason    string         `json:"reason,omitempty"`
	Endpoints []Endpoint     `json:"endpoints,omitempty"`
	Code      *CodeStatus    `json:"code,omitempty" doc:"Of the types that run uploaded code"`
	Commands  *CommandStatus `json:"commands,omitempty" doc:"Of the types that have commands"`
}

// NodeHealth is what a manager says of one node.
type NodeHealth struct {
	Node      NodeID      `json:"node"`
	Connected bool        `json:"connected"`
	Status    *NodeStatus `json:"status,omitempty" doc:"Absent until the agent has reported"`
	Ready     bool        `json:"ready" doc:"It does what the current plan says"`
	Reason    string      `json:"reason,omitempty"`
}

// AgentReport is one line of the agent's GET /v1/stream: the first carries Status, later ones what changed.
type AgentReport struct {
	Status *NodeStatus `json:"status,omitempty"`
	Event  *Event      `json:"event,omitempty"`
}

// ManagerReport is one line of the manager's GET /v1/stream. After Snapshot all that is not repeated is gone.
type ManagerReport struct {
	Snapshot bool            `json:"snapshot,omitempty" doc:"This line carries everything"`
	Revision uint64          `json:"revision" doc:"Of the spec that the manager works on"`
	Settled  bool            `json:"settled" doc:"Everything in the spec of Revision is as wanted"`
	Plan     *NodePlan       `json:"plan,omitempty"`
	Services []ServiceStatus `json:"services,omitempty"`
	Nodes    []NodeHealth    `json:"nodes,omitempty"`
	Self     *NodeStatus     `json:"self,omitempty" doc:"The manager's own node"`
	Lacks    []string        `json:"lacks,omitempty" doc:"SHA-256 of the blobs that the spec names and the manager has not got; said again when that changes, and with every sign of life"`
	Event    *Event          `json:"event,omitempty"`
}
