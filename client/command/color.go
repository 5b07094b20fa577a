package command

import (
	"conpaas/client/api"
	"conpaas/client/ui"
)

var colors = map[string]ui.Color{
	string(api.StateRunning): ui.Good, string(api.StateError): ui.Bad,
	string(api.StatePrologue): ui.Warning, string(api.StateAdapting): ui.Warning, string(api.StateEpilogue): ui.Warning,
	string(api.StateInit): ui.Faint, string(api.StateStopped): ui.Faint,

	string(api.NodeReady): ui.Good, string(api.NodeFailed): ui.Bad, string(api.NodeUnreachable): ui.Bad,
	string(api.NodeWanted): ui.Warning, string(api.NodeCreating): ui.Warning, string(api.NodeBooting): ui.Warning,
	string(api.NodeJoined): ui.Warning, string(api.NodeDraining): ui.Warning, string(api.NodeDeleting): ui.Warning,
	string(api.NodeGone): ui.Faint,

	string(api.OperationSucceeded): ui.Good, string(api.OperationCancelled): ui.Faint,
	string(api.OperationPending): ui.Warning, string(api.OperationRunning): ui.Warning,

	stateEnabled: ui.Good, stateToBeEnabled: ui.Warning, stateRefused: ui.Bad,

	string(api.PathDirect): ui.Good, string(api.PathRelayed): ui.Warning, string(api.PathSpliced): ui.Warning, string(api.PathNone): ui.Bad,
}

// colorOf is the colour of the word for a state of anything; api.OperationFailed and api.NodeFailed are one word.
func colorOf(state string) ui.Color { return colors[state] }
