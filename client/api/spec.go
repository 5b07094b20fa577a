package api

import "net/netip"

// ApplicationSpec is what the user wants of one application. The director's database is its only home.
type ApplicationSpec struct {
	ID       ApplicationID `json:"id"`
	Name     string        `json:"name"`
	Revision uint64        `json:"revision"`
	Network  Network       `json:"network"`
	Services []ServiceSpec `json:"services"`
}

// ServiceSpec is what the user wants of one service. Only started services are in a spec.
type ServiceSpec struct {
	ID       ServiceID         `json:"id"`
	Type     ServiceType       `json:"type"`
	Name     string            `json:"name"`
	Cloud    string            `json:"cloud"`
	Nodes    map[Role]int      `json:"nodes" doc:"Dedicated machines per role"`
	Settings map[string]string `json:"settings,omitempty"`
	Code     *CodeSpec         `json:"code,omitempty" doc:"Of the types that run uploaded code"`
	Command  *Command          `json:"command,omitempty" doc:"That not all of its machines have begun"`
	Secrets  map[string]Secret `json:"secrets,omitempty" doc:"Made by the director, one per name in the catalogue"`
	Startup  *Startup          `json:"startup,omitempty" doc:"What new machines run before their roles"`
	Env      map[string]Secret `json:"env,omitempty" doc:"Environment variables of its programs: those of its links and its own"`
}

// NodeInfo is one node as the director knows it, for the manager's plan.
type NodeInfo struct {
	ID       NodeID         `json:"id"`
	Service  ServiceID      `json:"service"`
	Type     ServiceType    `json:"type,omitempty" doc:"Of the service, which may not be in the spec any more"`
	Role     Role           `json:"role"`
	State    NodeState      `json:"state"`
	Cloud    string         `json:"cloud"`
	Overlay  netip.Addr     `json:"overlay"`
	Key      OverlayKey     `json:"key,omitempty" doc:"Empty until it has joined"`
	Endpoint netip.AddrPort `json:"endpoint" doc:"WireGuard endpoint on the cloud's network; invalid while unknown"`
	Address  string         `json:"address,omitempty" doc:"Address on the cloud's network"`
	Public   netip.Addr     `json:"public" doc:"Address that reaches it from outside of its cloud, where there is one"`
	Volumes  []VolumeMount  `json:"volumes,omitempty" doc:"That its machine has"`
}

// ManagerSpec is the body of PUT /v1/application, from director to manager: the whole truth, at once.
type ManagerSpec struct {
	Application ApplicationSpec `json:"application"`
	Nodes       []NodeInfo      `json:"nodes" doc:"Every node but gone ones and the manager"`
	Relays      []Relay         `json:"relays,omitempty" doc:"Relays beside the manager itself, in order of preference"`
	Trust       string          `json:"trust,omitempty" doc:"Name of the CA certificates to trust and of the one that signs; a node with another one renews its certificate"`
	Cloud       string          `json:"cloud" doc:"Of the manager's machine"`
	Public      netip.Addr      `json:"public" doc:"Address of the manager's machine that reaches it from outside of its cloud, where there is one"`
}

// Trust is the body of PUT /v1/trust, from manager to agent.
type Trust struct {
	Trust string `json:"trust" doc:"As in ManagerSpec"`
}

// NodePlan is what a manager wants of the director, for every service of the spec.
type NodePlan struct {
	Revision uint64        `json:"revision" doc:"Of the spec it was made from"`
	Services []ServicePlan `json:"services"`
}

// ServicePlan is the part of a NodePlan for one service.
type ServicePlan struct {
	Service ServiceID    `json:"service"`
	Wanted  map[Role]int `json:"wanted" doc:"Machines per role to exist, those in Drain and Delete not counted"`
	Drain   []NodeID     `json:"drain,omitempty" doc:"Nodes that take no new work and will be in Delete"`
	Delete  []NodeID     `json:"delete,omitempty" doc:"Nodes that are drained or dead and whose machines may go"`
}

// NodeSpec is the body of PUT /v1/spec, from manager to agent: all that the node is to be.
type NodeSpec struct {
	Node     NodeID        `json:"node"`
	Revision uint64        `json:"revision" doc:"Counts the pushes of this manager to this node"`
	Service  ServiceID     `json:"service"`
	Type     ServiceType   `json:"type"`
	Name     string        `json:"name" doc:"The service's"`
	Overlay  OverlaySpec   `json:"overlay"`
	Roles    []RoleSpec    `json:"roles" doc:"Roles that are not listed are stopped"`
	Expose   []uint16      `json:"expose,omitempty" doc:"TCP ports open on the outside"`
	Blobs    []string      `json:"blobs,omitempty" doc:"SHA-256 of the blobs that the roles need"`
	Startup  *Startup      `json:"startup,omitempty" doc:"Run once, before the roles; a node that has begun its roles passes over it"`
	Names    []HostName    `json:"names,omitempty" doc:"What the node resolves; changes come by PUT /v1/names"`
	Volumes  []VolumeMount `json:"volumes,omitempty" doc:"That the machine has; what else it has mounted of volumes it lets go"`
}

// RoleSpec is one role with the configuration that the manager half of the service type has made for its
// agent half. Config is that type's own JSON document.
type RoleSpec struct {
	Role   Role    `json:"role"`
	Config RawJSON `json:"config,omitempty"`
}

// OverlaySpec is a node's end of the overlay network.
type OverlaySpec struct {
	Network Network    `json:"network"`
	Address netip.Addr `json:"address"`
	Version uint64     `json:"version" doc:"Of Peers; see PeerDelta"`
	Peers   []Peer     `json:"peers,omitempty" doc:"Every peer when Full, else absent"`
	Full    bool       `json:"full"`
	Relays  []Relay    `json:"relays,omitempty"`
}

// PeerDelta is the body of PATCH /v1/peers, from manager to agent. An agent whose version is not From answers
// 409 and gets a full spec.
type PeerDelta struct {
	From   uint64   `json:"from"`
	To     uint64   `json:"to"`
	Set    []Peer   `json:"set,omitempty" doc:"Added or changed"`
	Remove []NodeID `json:"remove,omitempty"`
}
