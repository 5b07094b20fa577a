package api

import "time"

// OperationState is where an operation stands; the last three are final.
type OperationState string

// The states of an operation.
const (
	OperationPending   OperationState = "pending"
	OperationRunning   OperationState = "running"
	OperationSucceeded OperationState = "succeeded"
	OperationFailed    OperationState = "failed"
	OperationCancelled OperationState = "cancelled"
)

// Final tells whether the operation has ended.
func (s OperationState) Final() bool {
	return s == OperationSucceeded || s == OperationFailed || s == OperationCancelled
}

// OperationKind names what an operation does.
type OperationKind string

// The kinds of operations.
const (
	OpApplicationStart  OperationKind = "application.start"
	OpApplicationStop   OperationKind = "application.stop"
	OpApplicationDelete OperationKind = "application.delete"
	OpServiceStart      OperationKind = "service.start"
	OpServiceStop       OperationKind = "service.stop"
	OpServiceRemove     OperationKind = "service.remove"
	OpAddNodes          OperationKind = "nodes.add"
	OpRemoveNodes       OperationKind = "nodes.remove"
	OpServiceCode       OperationKind = "service.code"
	OpServiceConfigure  OperationKind = "service.configure"
	OpServiceAction     OperationKind = "service.action"
	OpServiceCommand    OperationKind = "service.command"
	OpVolumeCreate      OperationKind = "volume.create"
	OpVolumeAttach      OperationKind = "volume.attach"
	OpVolumeDetach      OperationKind = "volume.detach"
	OpVolumeDelete      OperationKind = "volume.delete"
)

// Operation is a piece of long work. It survives a restart of the director, which resumes it.
type Operation struct {
	ID          OperationID    `json:"id"`
	Kind        OperationKind  `json:"kind"`
	Owner       string         `json:"owner" doc:"User name"`
	Application ApplicationID  `json:"application"`
	Service     ServiceID      `json:"service,omitempty"`
	State       OperationState `json:"state"`
	Revision    uint64         `json:"revision" doc:"Revision of the application's spec that it waits for"`
	Created     time.Time      `json:"created"`
	Ended       *time.Time     `json:"ended,omitempty"`
	Progress    string         `json:"progress,omitempty" doc:"For example: 5 machines: 3 ready, 1 booting, 1 retrying: quota"`
	Steps       []Step         `json:"steps,omitempty" doc:"What it has done so far, oldest first"`
	Error       *Error         `json:"error,omitempty"`
}

// Step is one thing that happened in an operation.
type Step struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}
