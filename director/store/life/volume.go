package life

import (
	"fmt"
	"maps"
	"slices"

	"conpaas/client/api"
)

// VolumeEvent is something that happened to a volume, or was decided about it.
type VolumeEvent string

// The events of a volume's life.
const (
	VolumeCreate   VolumeEvent = "create"   // the cloud is about to be asked for it
	VolumeCreated  VolumeEvent = "created"  // the cloud has told its id
	VolumeRetry    VolumeEvent = "retry"    // the cloud has certainly made none; it will be asked again
	VolumeAttach   VolumeEvent = "attach"   // a machine is to get it
	VolumeAttached VolumeEvent = "attached" // the machine has it
	VolumeDetach   VolumeEvent = "detach"   // the machine is to let go of it
	VolumeDetached VolumeEvent = "detached" // no machine has it
	VolumeAbandon  VolumeEvent = "abandon"  // nothing needs it any more
	VolumeRestore  VolumeEvent = "restore"  // an application is to have it again
	VolumeDelete   VolumeEvent = "delete"   // it is to be destroyed
	VolumeDeleted  VolumeEvent = "deleted"  // the cloud has certainly no such volume any more
)

// volumeLife is the whole life of a volume. From attach to detached a machine may have it, and it cannot be destroyed. Created may
// come late: it can be deleted while the cloud is asked for it. Attach of a volume that is being detached takes that back.
var volumeLife = map[api.VolumeState]map[VolumeEvent]api.VolumeState{
	api.VolumeWanted: {VolumeCreate: api.VolumeCreating, VolumeDelete: api.VolumeDeleting},
	api.VolumeCreating: {
		VolumeCreated: api.VolumeAvailable, VolumeRetry: api.VolumeWanted, VolumeDelete: api.VolumeDeleting,
	},
	api.VolumeAvailable: {
		VolumeAttach: api.VolumeAttaching, VolumeAbandon: api.VolumeOrphan, VolumeDelete: api.VolumeDeleting,
	},
	api.VolumeAttaching: {VolumeAttached: api.VolumeAttached, VolumeDetach: api.VolumeDetaching},
	api.VolumeAttached:  {VolumeAttached: api.VolumeAttached, VolumeDetach: api.VolumeDetaching},
	api.VolumeDetaching: {VolumeAttach: api.VolumeAttaching, VolumeDetached: api.VolumeAvailable},
	api.VolumeOrphan:    {VolumeRestore: api.VolumeAvailable, VolumeDelete: api.VolumeDeleting},
	api.VolumeDeleting:  {VolumeCreated: api.VolumeDeleting, VolumeDelete: api.VolumeDeleting, VolumeDeleted: api.VolumeGone},
	api.VolumeGone:      {},
}

// NextVolume gives the state that event leads to. The error wraps ErrTransition.
func NextVolume(from api.VolumeState, event VolumeEvent) (api.VolumeState, error) {
	to, ok := volumeLife[from][event]
	if !ok {
		return "", fmt.Errorf("volume event %s in state %s: %w", event, from, ErrTransition)
	}
	return to, nil
}

// VolumeStates gives every state of a volume in alphabetical order.
func VolumeStates() []api.VolumeState { return slices.Sorted(maps.Keys(volumeLife)) }

// VolumeEvents gives the events that the state allows, in alphabetical order.
func VolumeEvents(from api.VolumeState) []VolumeEvent {
	return slices.Sorted(maps.Keys(volumeLife[from]))
}
