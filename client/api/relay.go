package api

// RelayKey is the director's answer to a relay that is to prove its own key.
type RelayKey struct {
	Key OverlayKey `json:"key" doc:"The director's"`
}

// RelayNode is a node that may use the relays of an installation.
type RelayNode struct {
	Key         OverlayKey    `json:"key"`
	Application ApplicationID `json:"application" doc:"Only nodes of one application reach each other"`
}

// RelayUpdate is one line of GET /v1/relay/nodes: the first ones, up to Complete, name every node, later ones what has
// changed. A line without anything is a sign of life.
type RelayUpdate struct {
	Set      []RelayNode  `json:"set,omitempty"`
	Remove   []OverlayKey `json:"remove,omitempty"`
	Complete bool         `json:"complete,omitempty" doc:"With this line the list is whole"`
}

// The routes for relays at the director, and how they say who they are: "Authorization: Relay KEY PROOF".
const (
	RelayKeyPath   = "/v1/relay"
	RelayNodesPath = "/v1/relay/nodes"
	RelayScheme    = "Relay "
)
