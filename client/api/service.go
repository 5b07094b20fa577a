package api

import "time"

// Service is one service of an application as its owner sees it.
type Service struct {
	ID          ServiceID         `json:"id"`
	Application ApplicationID     `json:"application"`
	Type        ServiceType       `json:"type"`
	Name        string            `json:"name"`
	Cloud       string            `json:"cloud"`
	State       State             `json:"state"`
	Reason      string            `json:"reason,omitempty"`
	Since       time.Time         `json:"since"`
	Created     time.Time         `json:"created"`
	Nodes       map[Role]int      `json:"nodes" doc:"Wanted dedicated machines per role; 0: the role is packed on the first machine"`
	Ready       int               `json:"ready" doc:"Machines that serve now"`
	Machines    int               `json:"machines" doc:"Machines that exist now"`
	Settings    map[string]string `json:"settings,omitempty"`
	Endpoints   []Endpoint        `json:"endpoints,omitempty" doc:"Where its users reach it"`
}

// Endpoint is a published address of a service.
type Endpoint struct {
	Name string `json:"name" doc:"For example http"`
	Node NodeID `json:"node" doc:"The machine that answers there"`
	Port uint16 `json:"port" doc:"Port on that machine"`
	URL  string `json:"url,omitempty" doc:"Where to reach it from outside; empty until the cloud has published it"`
}

// ServiceCreate asks for a new service in an application.
type ServiceCreate struct {
	Type     ServiceType       `json:"type"`
	Name     string            `json:"name,omitempty" doc:"Unique in the application; default: the type, then the type with a number"`
	Cloud    string            `json:"cloud,omitempty" doc:"Default: the application's"`
	Settings map[string]string `json:"settings,omitempty"`
}

// NodesChange asks for more or fewer machines per role. All counts are positive.
type NodesChange struct {
	Nodes map[Role]int `json:"nodes" doc:"How many to add or to remove, per role"`
	Cloud string       `json:"cloud,omitempty" doc:"Where to add; default: the service's cloud"`
}

// SettingsChange asks for other values of settings.
type SettingsChange struct {
	Settings map[string]string `json:"settings" doc:"Those that change; the others stay as they are"`
}
