package life

import (
	"fmt"
	"maps"
	"slices"

	"conpaas/client/api"
)

// OperationEvent is something that happened to an operation.
type OperationEvent string

// The events of an operation's life.
const (
	OperationStart   OperationEvent = "start"   // work on it begins, or is resumed after a restart of the director
	OperationSucceed OperationEvent = "succeed" // what it was to bring about is there
	OperationFail    OperationEvent = "fail"    // it cannot be brought about
	OperationCancel  OperationEvent = "cancel"  // the user, or a later operation, has withdrawn it
)

var operationLife = map[api.OperationState]map[OperationEvent]api.OperationState{
	api.OperationPending: {
		OperationStart: api.OperationRunning, OperationFail: api.OperationFailed, OperationCancel: api.OperationCancelled,
	},
	api.OperationRunning: {
		OperationStart: api.OperationRunning, OperationSucceed: api.OperationSucceeded,
		OperationFail: api.OperationFailed, OperationCancel: api.OperationCancelled,
	},
	api.OperationSucceeded: {},
	api.OperationFailed:    {},
	api.OperationCancelled: {},
}

// NextOperation gives the state that event leads to. The error wraps ErrTransition.
func NextOperation(from api.OperationState, event OperationEvent) (api.OperationState, error) {
	to, ok := operationLife[from][event]
	if !ok {
		return "", fmt.Errorf("operation event %s in state %s: %w", event, from, ErrTransition)
	}
	return to, nil
}

// OperationStates gives every state of an operation in alphabetical order.
func OperationStates() []api.OperationState { return slices.Sorted(maps.Keys(operationLife)) }

// OperationEvents gives the events that the state allows, in alphabetical order.
func OperationEvents(from api.OperationState) []OperationEvent {
	return slices.Sorted(maps.Keys(operationLife[from]))
}
