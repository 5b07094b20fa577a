package api

import "time"

// State is the state of an application or a service, in the words that users of ConPaaS know.
type State string

// The states of an application and of a service.
const (
	StateInit     State = "INIT"     // created, never started
	StatePrologue State = "PROLOGUE" // its first machines are on their way
	StateRunning  State = "RUNNING"  // everything wanted is there
	StateAdapting State = "ADAPTING" // it serves, and a change is under way
	StateEpilogue State = "EPILOGUE" // its machines are being removed
	StateStopped  State = "STOPPED"  // no machine; spec, code, secrets and volumes are kept
	StateError    State = "ERROR"    // it does not serve; StateReason says why
)

// Application is one application as its owner sees it, and who it is shared with.
type Application struct {
	ID       ApplicationID `json:"id"`
	Name     string        `json:"name"`
	Owner    string        `json:"owner" doc:"User name"`
	Shared   ShareLevel    `json:"shared,omitempty" doc:"How it is shared with who asks: view or operate; empty for its owner"`
	Cloud    string        `json:"cloud" doc:"Cloud of the manager, and of nodes for which none is named"`
	State    State         `json:"state"`
	Reason   string        `json:"reason,omitempty" doc:"Why it is in this state"`
	Since    time.Time     `json:"since" doc:"When it entered this state"`
	Created  time.Time     `json:"created"`
	Revision uint64        `json:"revision" doc:"Counts the changes of what the user wants"`
	Manager  NodeID        `json:"manager,omitempty" doc:"The node that manages it; empty while stopped"`
	Services int           `json:"services" doc:"How many services it has"`
	Network  string        `json:"network" doc:"Overlay network in CIDR form"`
}

// ApplicationCreate asks for a new application.
type ApplicationCreate struct {
	Name  string `json:"name" doc:"Unique among the owner's applications"`
	Cloud string `json:"cloud,omitempty" doc:"Name of a configured cloud; default \"default\""`
}

// Rename gives an application or a service another name.
type Rename struct {
	Name string `json:"name"`
}

// Event is one line of an application's history.
type Event struct {
	ID          int64         `json:"id"`
	Time        time.Time     `json:"time"`
	Application ApplicationID `json:"application,omitempty"`
	Service     ServiceID     `json:"service,omitempty"`
	Node        NodeID        `json:"node,omitempty"`
	Operation   OperationID   `json:"operation,omitempty"`
	Kind        string        `json:"kind" doc:"What happened, for programs, for example node.ready"`
	Text        string        `json:"text" doc:"What happened, for people"`
	Alarm       bool          `json:"alarm,omitempty" doc:"Somebody should look at it"`
}

// List is one page of a list. Next is empty on the last page.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Pass as ?after= to get the next page"`
}
